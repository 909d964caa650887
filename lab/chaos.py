"""Faults, each with its inverse: `lab chaos VERB …`."""

from __future__ import annotations

import argparse
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from lab import machine
from lab.host import Host, hosts
from lab.plan import HERE, STATE, Plan
from lab.roles import broker

_FILLER = "/var/tmp/chaos-filler"
_CLONE = HERE / "programs" / "clone.py"
_POSTFIX = "postfix.service"
_INSTANCE = "postfix@-.service"  # which Debian 12 has, and which that one starts
_FAULTS = STATE / "faults"
"""A file for each fault that is there, named by the words of its inverse."""
_DEAD = "mail.dead"
_INVERSE: dict[str, Callable[[argparse.Namespace], list[str]]] = {
    "cut": lambda args: ["heal", args.host],
    "slow": lambda args: ["heal", args.host],
    "fill": lambda args: ["free", args.host],
    "stop": lambda args: ["start", args.host, args.unit],
    "clone": lambda args: ["unclone", args.host],
    "login": lambda args: ["unban", args.host, args.source],
    "poison": lambda args: ["purge", _DEAD],
    "traffic": lambda args: ["traffic"] if args.rate is not None else [],
}


def run(plan: Plan, args: argparse.Namespace) -> int:
    """One verb. Its inverse is written down first: `lab up` undoes what nobody else undid.

    Raises SystemExit for words that make no fault; nothing is written down then.
    """
    _check(plan, args)
    inverse = _INVERSE.get(args.fault_name)
    if inverse and (words := inverse(args)):
        _FAULTS.mkdir(exist_ok=True)
        _file(words).touch()
        return int(args.fault(plan, args))
    given = (
        args.fault_name,
        *(getattr(args, name, None) for name in ("host", "unit", "source", "queue")),
    )
    code = int(args.fault(plan, args))
    _file([word for word in given if word is not None]).unlink(missing_ok=True)
    return code


def present() -> list[list[str]]:
    """The inverses of all faults that are there, in words."""
    return sorted(urllib.parse.unquote(path.name).split() for path in _FAULTS.glob("*"))


def undo(plan: Plan, words: list[str]) -> None:
    """Run one of them."""
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers(dest="fault_name"))
    run(plan, parser.parse_args(words))


def _file(words: list[str]) -> Path:
    return _FAULTS / urllib.parse.quote(" ".join(words), safe="")


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The parsers of all faults."""

    def verb(
        name: str, run: Callable[[Plan, argparse.Namespace], int], words: str
    ) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, help=words)
        parser.set_defaults(fault=run)
        return parser

    for name, run, words in (
        ("cut", cut, "take a host's link down"),
        ("heal", heal, "bring it up again, at full speed"),
        ("free", free, "undo fill"),
        ("unclone", unclone, "delete the cloned messages"),
    ):
        verb(name, run, words).add_argument("host")
    one = verb("slow", slow, "limit a host's link (inverse: heal)")
    one.add_argument("host")
    one.add_argument("rate", nargs="?", default="64kbit", help="as tc(8) takes it")
    one = verb("fill", fill, "fill a host's file system (inverse: free)")
    one.add_argument("host")
    one.add_argument("left", nargs="?", type=int, default=4, help="MB that stay free")
    for name, run, words in (
        ("stop", stop, "stop a unit (inverse: start)"),
        ("start", start, "start it again"),
    ):
        one = verb(name, run, words)
        one.add_argument("host")
        one.add_argument("unit")
    one = verb("clone", clone, "put N deferred messages into a queue (inverse: unclone)")
    one.add_argument("host")
    one.add_argument("count", type=int)
    one.add_argument(
        "groups",
        nargs="*",
        metavar="DESTINATION=REASON",
        help="in equal shares; without any, a mixture",
    )
    one = verb("login", login, "wrong SMTP logins (inverse: unban)")
    one.add_argument("host")
    one.add_argument("source", nargs="?", default="203.0.113.10")
    one.add_argument("count", nargs="?", type=int, default=4)
    one.add_argument("--user", default="ann@example.org")
    one = verb("unban", unban, "lift every ban of an address")
    one.add_argument("host")
    one.add_argument("source", nargs="?", default="203.0.113.10")
    one = verb("poison", poison, "publish N messages that no worker can take (inverse: purge)")
    one.add_argument("count", type=int)
    one.add_argument("queue", nargs="?", default="mail.store")
    verb("purge", purge, "empty the dead-letter queue").add_argument(
        "queue", nargs="?", default=_DEAD
    )
    one = verb("traffic", traffic, "messages a minute that users send (without RATE: as planned)")
    one.add_argument("rate", nargs="?", type=float)


def _check(plan: Plan, args: argparse.Namespace) -> None:
    if getattr(args, "host", None) is None:
        return
    host = _host(plan, args)
    if unit := getattr(args, "unit", None):
        loaded = f"systemctl show --property LoadState --value -- {_quoted(unit)}"
        if host.run(loaded).strip() == "not-found":
            raise SystemExit(
                f"lab: {host.name} has no unit {unit}; lab shell {host.name} systemctl"
            )
    for group in getattr(args, "groups", ()):
        destination, _, reason = group.partition("=")
        if not (destination and reason):
            raise SystemExit(f"lab: {group!r} is no DESTINATION=REASON, as gmail.com='421 later'")


def _host(plan: Plan, args: argparse.Namespace) -> Host:
    found = hosts(plan).get(args.host)
    if found is None:
        raise SystemExit(f"lab: no host {args.host}; there are {', '.join(plan.hosts)}")
    return found


def cut(plan: Plan, args: argparse.Namespace) -> int:
    """No packet goes either way; the host itself notices nothing."""
    machine.run("ip", "link", "set", machine.link_name(plan, _host(plan, args).name), "down")
    return 0


def heal(plan: Plan, args: argparse.Namespace) -> int:
    """Undo cut and slow."""
    link = machine.link_name(plan, _host(plan, args).name)
    machine.run("tc", "qdisc", "del", "dev", link, "root", check=False)
    machine.run("ip", "link", "set", link, "up")
    return 0


def slow(plan: Plan, args: argparse.Namespace) -> int:
    """A token bucket on what the host receives."""
    link = machine.link_name(plan, _host(plan, args).name)
    bucket = ("burst", "4kb", "latency", "400ms")
    machine.run("tc", "qdisc", "replace", "dev", link, "root", "tbf", "rate", args.rate, *bucket)
    return 0


def fill(plan: Plan, args: argparse.Namespace) -> int:
    """One large file."""
    _host(plan, args).run(
        f"free=$(df --output=avail -B1M / | tail -1); size=$((free - {args.left}))\n"
        f'[ "$size" -gt 0 ] || exit 0; fallocate -l "${{size}}M" {_FILLER}$RANDOM'
    )
    return 0


def free(plan: Plan, args: argparse.Namespace) -> int:
    """Remove that file."""
    _host(plan, args).run(f"rm -f {_FILLER}*")
    return 0


def stop(plan: Plan, args: argparse.Namespace) -> int:
    """systemctl stop."""
    _host(plan, args).run(f"systemctl stop -- '{args.unit}'")
    return 0


def start(plan: Plan, args: argparse.Namespace) -> int:
    """systemctl start."""
    _host(plan, args).run(
        f"systemctl reset-failed -- '{args.unit}'; systemctl start -- '{args.unit}'"
    )
    return 0


def clone(plan: Plan, args: argparse.Namespace) -> int:
    """Deferred messages made of one real one, while Postfix stands still."""
    groups = "\n".join(args.groups)
    text = _CLONE.read_bytes()
    host = _host(plan, args)
    host.run(f"systemctl stop {_POSTFIX} {_INSTANCE}")
    try:
        print(
            host.run(
                f"printf %s {_quoted(groups)} > /run/clone-groups\n"
                f"python3 - {args.count} /run/clone-groups",
                stdin=text,
            ),
            end="",
        )
    finally:
        host.run(f"systemctl start {_POSTFIX}")
    return 0


def unclone(plan: Plan, args: argparse.Namespace) -> int:
    """Delete what clone made: messages whose recipient says so."""
    host = _host(plan, args)
    host.run(
        f"systemctl start {_POSTFIX}\n"  # should a clone have been killed
        "postqueue -j | jq -r 'select(.recipients[0].address | startswith(\"clone-\")) | .queue_id'"
        " | postsuper -d - 2>&1"
    )
    return 0


def login(plan: Plan, args: argparse.Namespace) -> int:
    """Authentication failures from one of the world's addresses."""
    world = hosts(plan)[plan.having("world")[0].name]
    server = _host(plan, args).name
    words = (server, args.source, str(args.count), args.user)
    print(world.run("python3 /opt/lab/attack.py " + " ".join(map(_quoted, words))), end="")
    return 0


def unban(plan: Plan, args: argparse.Namespace) -> int:
    """In every jail."""
    _host(plan, args).run(f"fail2ban-client unban {_quoted(args.source)}")
    return 0


def poison(plan: Plan, args: argparse.Namespace) -> int:
    """Each becomes a dead letter when a worker rejects it."""
    host = hosts(plan)[plan.having("broker")[0].name]
    print(broker.publish(host, args.queue, args.count, {"poison": True}))
    return 0


def purge(plan: Plan, args: argparse.Namespace) -> int:
    """rabbitmqctl purge_queue."""
    host = hosts(plan)[plan.having("broker")[0].name]
    host.run(f"rabbitmqctl -q -p {broker.VHOST} purge_queue {_quoted(args.queue)}")
    return 0


def traffic(plan: Plan, args: argparse.Namespace) -> int:
    """The generator reads its rate anew for every message."""
    world = hosts(plan)[plan.having("world")[0].name]
    file = "/opt/lab/rate"
    world.run(f"rm -f {file}" if args.rate is None else f"echo {args.rate} > {file}")
    return 0


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
