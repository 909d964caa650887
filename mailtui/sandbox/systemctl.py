"""systemctl(1) of systemd 252 and 257, the read side: show, list-units, is-active, status."""

from __future__ import annotations

import fnmatch
import getopt
import json
import time
from dataclasses import replace
from typing import Any

from mailtui.sandbox.commands import Command, Context, UsageError
from mailtui.sandbox.world.hosts import Host, Unit

_VERSIONS = {"12": "252 (252.39-1~deb12u1)", "13": "257 (257.8-1~deb13u2)"}
_SUFFIXES = (".service", ".timer", ".socket", ".mount", ".target", ".path", ".slice", ".scope")
_INSTANCE = "postfix@-.service"


def units(host: Host) -> dict[str, Unit]:
    """The units by their ID. On Debian 12 postfix.service only wraps the instance and stays
    `active (exited)` whatever happens to it; on Debian 13 there is one, and the other is its alias.
    """
    found: dict[str, Unit] = dict(host.units)
    instance = found.get(_INSTANCE)
    if instance is not None and "postfix.service" not in found:
        description = "Postfix Mail Transport Agent"
        if host.os_version == "12":
            found["postfix.service"] = Unit(
                "postfix.service", description, sub="exited", since=host.boot_time + 21.0
            )
        else:
            del found[_INSTANCE]
            found["postfix.service"] = replace(
                instance, name="postfix.service", description=description
            )
    return found


def _mangle(name: str) -> str:
    """unit_name_mangle: `nginx` is nginx.service; what is not allowed is escaped."""
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@*?[]")
    text = "".join(
        c if c in allowed else "".join(f"\\x{b:02x}" for b in c.encode("utf-8", "surrogateescape"))
        for c in name
    )
    return text if text.endswith(_SUFFIXES) else text + ".service"


def _find(host: Host, name: str) -> Unit:
    loaded = units(host)
    if name == _INSTANCE and host.os_version != "12":
        name = "postfix.service"
    unit = loaded.get(name)
    if unit is not None:
        return unit
    return Unit(name, name, load="not-found", active="inactive", sub="dead", enabled=False)


def _expand(host: Host, names: list[str]) -> list[Unit]:
    result: list[Unit] = []
    for name in map(_mangle, names):
        if set(name) & set("*?["):
            loaded = units(host)
            result += [loaded[n] for n in sorted(loaded) if fnmatch.fnmatchcase(n, name)]
        else:
            result.append(_find(host, name))
    return result


def _stamp(epoch: float, style: str) -> str:
    if not epoch:
        return ""
    if style == "unix":
        return f"@{int(epoch)}"
    form = "%a %Y-%m-%d %H:%M:%S"
    fraction = f".{int(epoch * 1_000_000) % 1_000_000:06d}" if style.startswith("us") else ""
    return time.strftime(form, time.gmtime(epoch)) + fraction + " UTC"


def _properties(host: Host, unit: Unit, style: str) -> list[tuple[str, str]]:
    """In the order of D-Bus: the service's own properties first."""
    up = unit.active in ("active", "reloading", "deactivating")
    known = unit.load == "loaded"
    # what entered another state was active before, unless it never started
    entered = unit.since if up else (host.boot_time + 20.0 if known else 0.0)
    left = 0.0 if up or not known else unit.since
    changed = unit.since if known else 0.0

    def both(name: str, epoch: float) -> list[tuple[str, str]]:
        monotonic = max(0, int((epoch - host.boot_time) * 1_000_000)) if epoch else 0
        return [(name, _stamp(epoch, style)), (f"{name}Monotonic", str(monotonic))]

    memory = str(unit.memory) if up and unit.memory else "[not set]"
    service: list[tuple[str, str]] = []
    if unit.name.endswith(".service"):
        code = "1" if unit.active == "failed" else "0"
        service = [
            ("Type", "oneshot" if unit.sub == "exited" else "simple"),
            ("Restart", "no" if not known else "on-failure"),
            ("MainPID", str(unit.main_pid if up else 0)),
            ("Result", unit.result),
            ("NRestarts", str(unit.restarts)),
            ("ExecMainStatus", code),
            ("MemoryCurrent", memory),
            ("TasksCurrent", "[not set]"),
        ]
    elif unit.name.endswith(".timer"):
        service = [("Result", unit.result)]
    return [
        *service,
        ("Id", unit.name),
        ("Names", unit.name),
        ("Description", unit.description),
        ("LoadState", unit.load),
        ("ActiveState", unit.active),
        ("FreezerState", "running"),
        ("SubState", unit.sub),
        ("FragmentPath", f"/lib/systemd/system/{unit.name}" if known else ""),
        ("UnitFileState", ("enabled" if unit.enabled else "disabled") if known else ""),
        *both("StateChangeTimestamp", changed),
        *both("ActiveEnterTimestamp", entered),
        *both("ActiveExitTimestamp", left),
        *both("InactiveEnterTimestamp", left),
        ("NeedDaemonReload", "no"),
    ]


def _manager(host: Host) -> list[tuple[str, str]]:
    state = "degraded" if any(u.active == "failed" for u in units(host).values()) else "running"
    return [
        ("Version", _VERSIONS[host.os_version].partition(" ")[2].strip("()")),
        ("NNames", str(len(units(host)))),
        ("NFailedUnits", str(sum(u.active == "failed" for u in units(host).values()))),
        ("SystemState", state),
    ]


async def _show(context: Context, names: list[str], options: dict[str, Any]) -> int:
    host = context.machine.host
    wanted: list[str] = options["properties"]
    blocks = [_properties(host, u, options["timestamp"]) for u in _expand(host, names)]
    if not names:
        blocks = [_manager(host)]
    for index, block in enumerate(blocks):
        if index:
            await context.out("")
        for name, value in block:
            if name in wanted or (not wanted and value):
                await context.out(value if options["value"] else f"{name}={value}")
    return 0


async def _list_units(context: Context, patterns: list[str], options: dict[str, Any]) -> int:
    states: set[str] = options["states"]
    kinds: set[str] = options["types"]
    mangled = [p if p.endswith(_SUFFIXES) or "*" in p else _mangle(p) for p in patterns]
    shown = []
    for name, unit in sorted(units(context.machine.host).items()):
        if mangled and not any(fnmatch.fnmatchcase(name, p) for p in mangled):
            continue
        if states and not states & {unit.active, unit.sub, unit.load}:
            continue
        if kinds and name.rpartition(".")[2] not in kinds:
            continue
        if not states and not options["all"] and unit.active == "inactive":
            continue
        shown.append(unit)
    if options["output"] == "json":
        rows = [
            {
                "unit": u.name,
                "load": u.load,
                "active": u.active,
                "sub": u.sub,
                "description": u.description,
            }
            for u in shown
        ]
        await context.out(json.dumps(rows, separators=(",", ":"), ensure_ascii=False))
        return 0
    await _table(context, shown, options)
    return 0


async def _table(context: Context, shown: list[Unit], options: dict[str, Any]) -> None:
    legend: bool = options["legend"]
    rows = [(u.name, u.load, u.active, u.sub, u.description) for u in shown]
    if legend:
        rows.insert(0, ("UNIT", "LOAD", "ACTIVE", "SUB", "DESCRIPTION"))
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(4)]
    for index, row in enumerate(rows):
        mark = ""
        if not options["plain"]:
            head = legend and index == 0
            bad = not head and (row[2] == "failed" or row[1] not in ("loaded",))
            mark = "● " if bad else "  "
        cells = " ".join(text.ljust(w) for text, w in zip(row, widths, strict=False))
        await context.out(f"{mark}{cells} {row[4]}".rstrip())
    if not legend:
        return
    filtered = options["states"] or options["all"]
    more = "" if filtered else " Pass --all to see loaded but inactive units, too."
    await context.out(
        "\nLOAD   = Reflects whether the unit definition was properly loaded.\n"
        "ACTIVE = The high-level unit activation state, i.e. generalization of SUB.\n"
        "SUB    = The low-level unit activation state, values depend on unit type.\n"
        f"{len(shown)} loaded units listed.{more}"
    )
    if more:
        await context.out("To show all installed unit files use 'systemctl list-unit-files'.")


async def _states(context: Context, names: list[str], options: dict[str, Any], verb: str) -> int:
    found = _expand(context.machine.host, names)
    if not options["quiet"]:
        for unit in found:
            await context.out(unit.active)
    if verb == "is-failed":
        return 0 if any(u.active == "failed" for u in found) else 1
    if any(u.active in ("active", "reloading") for u in found):
        return 0
    newer = context.machine.host.os_version != "12"
    return 4 if newer and all(u.load == "not-found" for u in found) else 3


async def _status(context: Context, names: list[str]) -> int:
    if not names:
        raise UsageError("status without a unit is not supported by this sandbox")
    host = context.machine.host
    status = 0
    for index, unit in enumerate(_expand(host, names)):
        if unit.load == "not-found":
            await context.err(f"Unit {unit.name} could not be found.")
            status = 4
            continue
        if index:
            await context.out("")
        mark = {"active": "●", "failed": "×"}.get(unit.active, "○")
        enabled = "enabled" if unit.enabled else "disabled"
        why = f" (Result: {unit.result})" if unit.active == "failed" else f" ({unit.sub})"
        await context.out(f"{mark} {unit.name} - {unit.description}")
        path = f"/lib/systemd/system/{unit.name}"
        await context.out(f"     Loaded: {unit.load} ({path}; {enabled}; preset: enabled)")
        since = _stamp(unit.since, "pretty")
        await context.out(f"     Active: {unit.active}{why} since {since}")
        if unit.main_pid and unit.active == "active":
            await context.out(f"   Main PID: {unit.main_pid}")
        if unit.active not in ("active", "reloading"):
            status = max(status, 3)
    return status


async def _is_system_running(context: Context, options: dict[str, Any]) -> int:
    state = dict(_manager(context.machine.host))["SystemState"]
    if not options["quiet"]:
        await context.out(state)
    return 0 if state == "running" else 1


async def systemctl(context: Context, argv: list[str]) -> int:
    """`systemctl VERB [UNIT…]`; verbs that change something are refused."""
    given, operands = getopt.gnu_getopt(
        argv[1:],
        "p:t:o:alq",
        [
            "property=", "state=", "type=", "output=", "timestamp=", "all", "plain", "no-legend",
            "legend=", "full", "no-pager", "quiet", "value", "failed", "version",
        ],
    )  # fmt: skip
    options: dict[str, Any] = {
        "properties": [], "states": set(), "types": set(), "output": "", "timestamp": "pretty",
        "all": False, "plain": False, "legend": True, "quiet": False, "value": False,
    }  # fmt: skip
    for name, value in given:
        match name:
            case "-p" | "--property":
                options["properties"] += value.split(",")
            case "--state":
                options["states"] |= set(value.split(","))
            case "-t" | "--type":
                options["types"] |= set(value.split(","))
            case "--failed":
                options["states"].add("failed")
            case "-o" | "--output" | "--timestamp":
                options["timestamp" if name == "--timestamp" else "output"] = value
            case "--no-legend" | "--legend":
                options["legend"] = value not in ("", "no", "false", "0")
            case "-a" | "--all" | "--plain" | "-q" | "--quiet" | "--value":
                options[{"-a": "all", "-q": "quiet"}.get(name, name.lstrip("-"))] = True
            case "--version":
                await context.out(f"systemd {_VERSIONS[context.machine.host.os_version]}")
                return 0
    verb, names = (operands[0], operands[1:]) if operands else ("list-units", [])
    match verb:
        case "show":
            return await _show(context, names, options)
        case "list-units":
            return await _list_units(context, names, options)
        case "is-active" | "is-failed":
            return await _states(context, names, options, verb)
        case "status":
            return await _status(context, names)
        case "is-system-running":
            return await _is_system_running(context, options)
        case "is-enabled":
            found = _expand(context.machine.host, names)
            for unit in found:
                if unit.load == "not-found":
                    await context.err(
                        f"Failed to get unit file state for {unit.name}: No such file or directory"
                    )
                else:
                    await context.out("enabled" if unit.enabled else "disabled")
            return 0 if all(unit.enabled for unit in found) else 1
        case "start" | "stop" | "restart" | "reload" | "enable" | "disable":
            raise UsageError(f"{verb} is not supported by this sandbox")
    raise UsageError(f"Unknown command verb {verb}.")


COMMANDS: dict[str, Command] = {"/usr/bin/systemctl": systemctl}
