"""Taking data away: copy by OSC 52, export as CSV or JSON, a picture of the screen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from mailtui.config.paths import private
from mailtui.model import clock
from mailtui.resources.export import as_csv, as_json

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp

COPY_LIMIT = 100_000
"""Characters; terminals drop longer OSC 52 sequences."""


def copy(app: ConsoleApp) -> None:
    """The marked rows, else the row under the cursor, as tab-separated text."""
    table = app.view.table if app.view is not None else None
    rows = (table.marked_rows or [table.row]) if table is not None else []
    rows = [row for row in rows if row is not None]
    if table is None or not rows:
        app.notify("there is no row to copy", severity="warning")
        return
    columns = table.resource.columns
    text = "\n".join("\t".join(c.render(row) for c in columns) for row in rows)
    if len(text) > COPY_LIMIT:
        app.notify(f"{len(rows):,} rows are too much for the clipboard; use e to export")
        return
    app.copy_to_clipboard(text)
    app.notify(
        f"sent to the terminal's clipboard: {len(rows):,} {'row' if len(rows) == 1 else 'rows'}",
        timeout=2,
    )


def default_name(app: ConsoleApp) -> str:
    """`mailtui-messages-20261124-140327.csv`."""
    table = app.view.table if app.view is not None else None
    name = table.resource.name if table is not None else "screen"
    return f"mailtui-{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(clock.now()))}.csv"


def export(app: ConsoleApp, target: str) -> str:
    """Write the shown rows; an error as a sentence, or an empty string."""
    table = app.view.table if app.view is not None else None
    if table is None:
        return "there is no list on this screen to export"
    path = Path(target or default_name(app)).expanduser()
    if path.suffix not in (".csv", ".json"):
        return f"{path.name}: expected a name that ends in .csv or .json"
    rows = table.shown_rows
    text = as_json(table.resource, rows) if path.suffix == ".json" else as_csv(table.resource, rows)
    if error := save(path, text):
        return error
    app.notify(f"wrote {len(rows):,} rows to {path}", markup=False)
    return ""


def shot(app: ConsoleApp, target: str) -> str:
    """Save the screen as SVG; an error as a sentence, or an empty string."""
    name = f"mailtui-{time.strftime('%Y%m%d-%H%M%S', time.localtime(clock.now()))}.svg"
    path = Path(target or name).expanduser()
    if error := save(path, app.export_screenshot()):
        return error
    app.notify(f"saved {path}", markup=False)
    return ""


def save(path: Path, text: str) -> str:
    """Make a file that only its owner can read; an error as a sentence, or an empty string."""
    try:
        with open(path, "x", encoding="utf-8", newline="", opener=private) as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink(missing_ok=True)  # a part of it would be taken for the whole
                raise
    except FileExistsError:
        return f"{path} exists already; nothing was written"
    except OSError as error:
        return f"{path}: {error.strerror or error}"
    return ""
