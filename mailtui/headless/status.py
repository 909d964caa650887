"""`mailtui status`: read everything once; how bad is it?"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailtui.collectors.platform import Platform
    from mailtui.model.problem import Problem
    from mailtui.model.reading import AnyReading
    from mailtui.resources.flow import Tile

WORDS = {
    exits.OK: "OK",
    exits.WARNING: "WARNING",
    exits.CRITICAL: "CRITICAL",
    exits.UNKNOWN: "UNKNOWN",
}


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "status",
        parents=[options],
        help="does mail flow, and what is wrong; exit code 0, 1, 2, 3",
        description="Read every source once and say what is wrong. Exit code: 0 fine, 1 warning, "
        "2 critical, 3 unknown.",
    )
    verb.add_argument(
        "-o",
        "--output",
        metavar="FORMAT",
        choices=("text", "json"),
        default="text",
        help="text or json",
    )
    verb.add_argument("--brief", action="store_true", help="one line, as monitoring plugins write")


def run(args: argparse.Namespace) -> int:
    """Print the status; its exit code."""
    from mailtui.headless import session
    from mailtui.headless.errors import Refused

    if args.brief and args.output == "json":
        raise Refused("--brief and -o json do not go together")
    return session.run(_status(args))


async def _status(args: argparse.Namespace) -> int:
    from mailtui.headless import session, text
    from mailtui.model import clock

    async with session.opened(args, "status") as platform:
        await platform.read_all()
        report = Report(platform, clock.now())
    text.prepare(sys.stdout, exact=args.output == "json")
    if args.output == "json":
        import json

        json.dump(report.as_object(), sys.stdout, ensure_ascii=False, indent=1, allow_nan=False)
        print()
    elif args.brief:
        print(report.brief())
    else:
        for line in report.lines():
            print(line)
    return report.code


class Report:
    """The status of a platform at one moment."""

    def __init__(self, platform: Platform, now: float) -> None:
        from mailtui.problems.engine import find_all
        from mailtui.resources import flow

        self.name, self.context, self.now = platform.name, platform.context, now
        self.readings: list[AnyReading] = platform.state.all()
        self.problems: list[Problem] = find_all(platform.state, platform.context, now)
        self.tiles: list[Tile] = flow.tiles(platform.state, now)
        self.counts = {"critical": 0, "warning": 0, "unknown": 0}
        for problem in self.problems:
            self.counts[problem.severity] += 1
        self.code = exit_code(self.counts, self.readings)

    def as_object(self) -> dict[str, Any]:
        """The documented JSON object."""
        from mailtui.headless.sources import as_objects
        from mailtui.resources.export import plain

        return {
            "context": self.name,
            "label": self.context.label or self.name,
            "simulation": self.context.simulation,
            "status": WORDS[self.code].lower(),
            "exit_code": self.code,
            "read_at": self.now,
            "counts": self.counts,
            "flow": [
                {
                    "name": tile.name,
                    "value": plain(tile.amount),
                    "unit": tile.unit,
                    "note": tile.note,
                    "level": tile.level or "ok",
                }
                for tile in self.tiles
            ],
            "problems": [
                {
                    "key": p.key,
                    "severity": p.severity,
                    "hosts": list(p.hosts),
                    "text": p.text,
                    "since": p.since,
                    "read_at": p.read_at or None,
                    "source": p.source,
                    "screen": p.screen,
                    "where": p.where,
                }
                for p in self.problems
            ],
            "sources": as_objects(self.readings, self.now),
        }

    def _counted(self) -> str:
        return ", ".join(f"{number} {word}" for word, number in self.counts.items())

    def brief(self) -> str:
        """`MAILTUI WARNING - …|performance data` (Monitoring Plugins' output format)."""
        words = f"MAILTUI {WORDS[self.code]} - "
        words += "SIMULATION " if self.context.simulation else ""
        words += f"{self.context.label or self.name}: {self._counted()}"
        if self.problems:
            words += f"; {self._sentence(self.problems[0])}"
        elif silent := [r for r in self.readings if r.status != "fresh" and not r.absent]:
            words += f"; {len(silent)} of {len(self.readings)} sources gave no answer"
        data = [f"{word}={number}" for word, number in self.counts.items()]
        data += [f"{t.name}={t.amount:g}" for t in self.tiles if t.amount is not None]
        return f"{words.replace('|', '/')} | {' '.join(data)}"

    @staticmethod
    def _sentence(problem: Problem) -> str:
        return " ".join([*problem.hosts, problem.text])

    def lines(self) -> Iterator[str]:
        """The report for a reader: verdict, flow, problems worst first, sources."""
        from mailtui.headless import text
        from mailtui.model import format as fmt

        out = sys.stdout
        color, glyphs = text.wants_color(out), text.glyphs_for(out)
        level: Any = WORDS[self.code].lower()
        verdict = f"{glyphs.of(level)} {WORDS[self.code]}"
        simulation = "SIMULATION " if self.context.simulation else ""
        label = self.context.label or self.name
        yield (
            f"{simulation}{label}: {text.painted(verdict, level, color)}"
            f" ({self._counted()}) at {fmt.date_time(self.now)}"
        )
        yield ""
        for tile in self.tiles:
            figure = f"{tile.value} {tile.unit}".strip()
            line = f"  {tile.name:<10}{figure:>12}  {tile.note}".rstrip()
            yield text.painted(line, tile.level, color)
        yield ""
        if not self.problems:
            yield "nothing is wrong, as far as the sources tell"
        for problem in self.problems:
            sign = f"{glyphs.of(problem.severity)} {problem.severity:<8}"
            since = f"  since {fmt.since(problem.since, self.now)}" if problem.since else ""
            yield (
                f"{text.painted(sign, problem.severity, color)}  {self._sentence(problem)}{since}"
            )
        yield ""
        for line, bad in source_lines(self.readings, self.now):
            yield text.painted(line, "warning" if bad else "", color)


def exit_code(counts: dict[str, int], readings: list[AnyReading]) -> int:
    """The worst there is; what is unknown counts only where nothing worse is known."""
    if counts["critical"]:
        return exits.CRITICAL
    if counts["warning"]:
        return exits.WARNING
    silent = any(r.fault is not None and not r.absent for r in readings)
    if counts["unknown"] or silent or not any(r.status != "never" for r in readings):
        return exits.UNKNOWN
    return exits.OK


def source_lines(readings: list[AnyReading], now: float) -> Iterator[tuple[str, bool]]:
    """One line a source: how many targets answered, the age; then one line a failure."""
    from mailtui.headless.sources import failed, name
    from mailtui.model import format as fmt

    for source in dict.fromkeys(r.source for r in readings):
        own = [r for r in readings if r.source == source]
        good = [r for r in own if r.status == "fresh"]
        absent = [r for r in own if r.absent]
        ages = [age for r in good if (age := r.age(now)) is not None]
        words = fmt.age(max(ages)) if ages else "-"
        if len(own) > 1 or own[0].target:
            words = f"{len(good)} of {len(own)}  {words}"
        if absent:
            words += f"  not on {' '.join(r.target or r.source for r in absent)}"
        yield f"  {source:<20}{words}", not good and len(absent) < len(own)
    for reading in failed(readings):
        assert reading.fault is not None
        age = reading.age(now)
        last = f"; last read {fmt.age(age)} ago" if age is not None else "; never read"
        yield f"  {name(reading)}: {reading.fault.sentence()}{last}", True
