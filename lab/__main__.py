"""lab up|down|status|chaos|shell: see README.md."""

from __future__ import annotations

import argparse
import os
import sys

from lab import chaos, machine, plan, up
from lab.host import hosts


def main() -> int:
    """One verb."""
    parser = argparse.ArgumentParser(prog="lab", description="A mail platform of real daemons.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    start = verbs.add_parser("up", help="bring it up")
    start.add_argument(
        "--suite",
        action="append",
        default=[],
        metavar="HOST=SUITE",
        help="another suite of Debian for one host (trixie); may be repeated",
    )
    verbs.add_parser("down", help="take it down without a trace")
    verbs.add_parser("status", help="which host runs, what failed there")
    verbs.add_parser("can", help="exit code 0 if this machine can have a lab, else why not")
    shell = verbs.add_parser("shell", help="root's shell on a host, or one command there")
    shell.add_argument("host")
    shell.add_argument("command", nargs=argparse.REMAINDER)
    faults = verbs.add_parser("chaos", help="faults, each with its inverse")
    chaos.add(faults.add_subparsers(dest="fault_name", required=True))
    args = parser.parse_args()
    described = plan.load(
        suites=dict(one.partition("=")[::2] for one in getattr(args, "suite", ()))
    )
    if args.verb == "chaos":
        with machine.alone():
            return chaos.run(described, args)
    if args.verb == "shell":
        return _shell(described, args)
    if args.verb == "can":
        why = up.cannot()
        print(why or "yes")
        return bool(why)
    return {"up": up.up, "down": up.down, "status": _status}[args.verb](described)


def _shell(described: plan.Plan, args: argparse.Namespace) -> int:
    host = hosts(described).get(args.host)
    if host is None:
        raise SystemExit(f"lab: no host {args.host}; there are {', '.join(described.hosts)}")
    argv = ["/bin/bash", "-c", " ".join(args.command)] if args.command else ["/bin/bash", "-l"]
    os.environ.update(HOME="/root", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    sys.stdout.flush()
    os.execvp("nsenter", host.enter(*argv))


def _status(described: plan.Plan) -> int:
    for host in hosts(described).values():
        if host.leader is None:
            print(f"{host.name:8}{host.address:14}down")
            continue
        failed = host.run(
            "systemctl list-units --failed --plain --no-legend | cut -d' ' -f1 | paste -sd' '"
        )
        words = f"failed: {failed.strip()}" if failed.strip() else "up"
        print(f"{host.name:8}{host.address:14}{' '.join(host.roles):28}{words}")
    for undo in chaos.present():
        print(f"a fault is there; its inverse: lab chaos {' '.join(undo)}")
    return 0


sys.exit(main())
