"""`mailtui shot SCREEN`: a picture or the text of a screen, with no terminal."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.collectors.platform import Platform

STEP = 0.05
"""Seconds between looks whether every source has answered."""


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    from mailtui.screens import ORDER

    verb = verbs.add_parser(
        "shot",
        parents=[options],
        help="save a screen as SVG or text",
        description="Show a screen without a terminal, wait until every source has answered or "
        "failed, and save it.",
    )
    verb.add_argument("screen", metavar="SCREEN", choices=ORDER, help=", ".join(ORDER))
    verb.add_argument("--size", metavar="WxH", type=_size, default=(120, 40), help="cells: 120x40")
    verb.add_argument("--where", metavar="EXPR", default="", help="filter, as in the console's /")
    verb.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default="-",
        help="FILE.svg or FILE.txt; - writes text to standard output",
    )
    verb.add_argument(
        "--wait",
        metavar="S",
        type=float,
        default=60.0,
        help="give up after S seconds on sources that do not answer (60)",
    )


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    if not (20 <= width <= 500 and 8 <= height <= 300):
        raise ValueError(text)
    return width, height


def run(args: argparse.Namespace) -> int:
    """Save the screen."""
    from mailtui.headless import session
    from mailtui.headless.errors import Refused

    if args.output != "-" and Path(args.output).suffix not in (".svg", ".txt"):
        raise Refused(f"{args.output}: expected a name that ends in .svg or .txt, or -")
    # the picture is the same whatever terminal it is taken in
    os.environ["TERM"], os.environ["COLORTERM"] = "xterm-256color", "truecolor"
    for name in ("NO_COLOR", "COLUMNS", "LINES"):
        os.environ.pop(name, None)
    return session.run(_shot(args))


async def _shot(args: argparse.Namespace) -> int:
    from dataclasses import replace

    from mailtui.headless import session, sources
    from mailtui.headless.errors import Refused, say
    from mailtui.model import clock

    async with session.loaded(args, "shot") as (loading, settings):
        settings.choose(loading.context)  # an unknown context is said before anything is shown
        from mailtui.app import ConsoleApp

        app = ConsoleApp(replace(loading, load=lambda: settings), start=args.screen)
        async with app.run_test(size=args.size) as pilot:
            platform, silent = await _settled(app, pilot, args.wait)
            if platform is None:
                raise Refused("the platform could not be loaded", exits.SOFTWARE)
            if args.where and (error := _filter(app, args.where)):
                raise Refused(f"--where: {error}")
            await pilot.pause()
            picture = _text(app) if not args.output.endswith(".svg") else app.export_screenshot()
            readings = platform.state.all()
        sources.warn("shot", readings, clock.now())
        if silent:
            say("shot", f"not waited for any longer: {', '.join(silent)}")
    _save(picture, args.output)
    return exits.OK


async def _settled(app: ConsoleApp, pilot: Any, wait: float) -> tuple[Platform | None, list[str]]:
    """Wait until every source that is read for this screen has answered or failed, and what came
    is painted; the platform, and the sources that did not answer in time."""
    import asyncio

    loop = asyncio.get_running_loop()
    end = loop.time() + wait
    waiting: list[str] = ["settings"]
    while loop.time() < end:
        await pilot.pause(STEP)
        if app.platform is not None:
            waiting = _waiting(app, app.platform)
            if not waiting and not app.changes_wait:
                break
    return app.platform, waiting


def _waiting(app: ConsoleApp, platform: Platform) -> list[str]:
    looked_at = app.view.SOURCES if app.view is not None else ()
    return [
        f"{c.source} {c.target}".rstrip()
        for c in platform.collectors
        if c.overview or c.source in looked_at
        if (reading := platform.state.get(c.source, c.target)).status == "never"
        and reading.fault is None
    ]


def _filter(app: ConsoleApp, where: str) -> str:
    """Filter the screen as a problem's line would; an error as a sentence, or an empty string."""
    from mailtui.model.where import WhereError, compile_where

    view = app.view
    if view is None:
        return "there is no screen"
    view.lead_in(where)
    panel = view.main_panel
    if panel is None:
        return view.apply_filter(view.table, where) if view.table else "there is no list to filter"
    table = panel.table
    name, _, rest = where.partition(" ")
    try:
        compile_where(rest if name == table.resource.name else where, table.resource.columns)
    except WhereError as error:
        return str(error)
    return ""


def _text(app: ConsoleApp) -> str:
    """The screen as plain text: `App.export_screenshot` with another ending."""
    import io

    from rich.console import Console

    console = Console(
        width=app.size.width,
        height=app.size.height,
        file=io.StringIO(),
        force_terminal=True,
        record=True,
        legacy_windows=False,
    )
    console.print(
        app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    )
    lines = console.export_text(styles=False).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _save(picture: str, target: str) -> None:
    from mailtui.config.paths import private
    from mailtui.headless import text
    from mailtui.headless.errors import Refused

    if target == "-":
        text.prepare(sys.stdout, exact=False)
        sys.stdout.write(picture)
        return
    try:
        with open(target, "w", encoding="utf-8", opener=private) as file:
            file.write(picture)
    except OSError as error:
        raise Refused(f"{target}: {error.strerror or error}", exits.CANNOT_CREATE) from None
