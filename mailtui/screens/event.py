"""One audit event: its whole document, and the menu that makes a query of one of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from mailtui.connections.clean import clean, clean_lines
from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.model.audit import AuditEvent
from mailtui.model.audit_document import leaves, pretty, tree
from mailtui.model.querystring import term

if TYPE_CHECKING:
    from mailtui.config.sources.elasticsearch import Fields

MOST_SHOWN = 200_000
"""Characters of a document that are painted; copying takes it whole."""

TITLES = {
    "user": "user",
    "source_ip": "from",
    "action": "action",
    "outcome": "outcome",
    "host": "host",
    "service": "service",
    "tenant": "tenant",
    "message": "message",
}
"""Field of the settings → title of its column."""


class EventDetail(ModalScreen[None]):
    """The document as the server keeps it, indented."""

    DEFAULT_CSS = """
    EventDetail { align: center middle; }
    EventDetail VerticalScroll {
        width: 94%; max-width: 130; height: 88%;
        border: round $primary; padding: 0 2; background: $surface;
    }
    EventDetail Static { height: auto; }
    """
    BINDINGS = [
        Binding("escape,q,enter", "dismiss", "Close", tooltip="Back to the list"),
        Binding("y", "copy", "Copy", tooltip="Copy the whole document"),
    ]

    def __init__(self, event: AuditEvent) -> None:
        super().__init__()
        self._event = event

    def compose(self) -> ComposeResult:
        """When, which document, what is in it."""
        event = self._event
        box = VerticalScroll()
        box.border_title = Text(clean(event.id))
        box.border_subtitle = "y copies, Escape closes"
        with box:
            age = fmt.age(clock.now() - event.time)
            yield Static(
                Text.assemble((f"{fmt.date_time(event.time)}", "bold"), f"  {age} ago\n"),
                markup=False,
            )
            yield Static(painted(event.document), id="document", markup=False)

    def on_mount(self) -> None:
        """The keys scroll."""
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        """Copy the whole document."""
        self.app.copy_to_clipboard(clean_lines(pretty(self._event.document)))
        self.notify("copied the document", timeout=2)


def painted(text: str) -> Text:
    """The indented document, names told from values by weight."""
    whole = clean_lines(pretty(text))
    result = Text(overflow="fold")
    for line in whole[:MOST_SHOWN].splitlines(keepends=True):
        indent = len(line) - len(line.lstrip(" "))
        end = line.find('": ')
        if line[indent : indent + 1] == '"' and end > 0:
            result.append(line[: end + 1], style="bold")
            result.append(line[end + 1 :])
        else:
            result.append(line)
    if len(whole) > MOST_SHOWN:
        result.append(f"\n… {len(whole) - MOST_SHOWN:,} characters more; y copies all")
    return result


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of the event under the cursor."""

    field: str
    value: str
    title: str


def named_fields(fields: Fields) -> list[tuple[str, str]]:
    """(title of the column, name of the field) in the order in which they are offered."""
    return [(title, str(getattr(fields, name))) for name, title in TITLES.items()]


def choices(event: AuditEvent, named: Sequence[tuple[str, str]]) -> list[Choice]:
    """What a query can be made of: the fields that have a column first, then the others.

    `named` pairs the title of each column with the name of its field.
    """
    found: dict[tuple[str, str], Choice] = {}
    values_of: dict[str, list[str]] = {}
    for field, value in leaves(tree(event.document)):
        values_of.setdefault(field, []).append(value)
    for title, field in named:
        for value in values_of.pop(field, ()):
            found[field, value] = Choice(field, value, title)
    for field, values in values_of.items():
        for value in values:
            # long texts are no terms, and the time is chosen by the range
            if value and len(value) <= 256 and not field.startswith(("@", "ecs.")):
                found.setdefault((field, value), Choice(field, value, field))
    return list(found.values())


class FieldMenu(ModalScreen[str | None]):
    """Choose a value of the event; the result is a term for the query."""

    DEFAULT_CSS = """
    FieldMenu { align: center middle; }
    FieldMenu OptionList {
        width: 80%; max-width: 100; height: auto; max-height: 70%;
        background: $surface;
        &, &:focus { border: round $primary; }
    }
    """
    BINDINGS = [
        Binding("escape,q", "dismiss(None)", "Close", tooltip="Change nothing"),
        Binding("x", "exclude", "Exclude", tooltip="Only events without this value"),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
    ]

    def __init__(self, offered: Sequence[Choice]) -> None:
        super().__init__()
        self._offered = offered

    def compose(self) -> ComposeResult:
        """One line a value."""
        width = min(24, max((len(one.title) for one in self._offered), default=0))
        options = OptionList(*(Option(_line(one, width)) for one in self._offered), markup=False)
        options.border_title = "Only events with this value"
        options.border_subtitle = "Enter: with it, x: without it, Escape: neither"
        yield options

    def action_down(self) -> None:
        """The next value."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """The value before."""
        self.query_one(OptionList).action_cursor_up()

    def action_exclude(self) -> None:
        """Only events without this value."""
        at = self.query_one(OptionList).highlighted
        if at is not None:
            self._choose(at, exclude=True)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose(event.option_index)

    def _choose(self, at: int, *, exclude: bool = False) -> None:
        one = self._offered[at]
        self.dismiss(term(one.field, one.value, exclude=exclude))


def _line(choice: Choice, width: int) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{clean(choice.title):<{width}}  ", style="bold")
    text.append(clean(choice.value))
    return text
