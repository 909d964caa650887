"""A few lines on the event under the cursor: its message in full, then its other fields."""

from __future__ import annotations

from rich.style import Style
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from mailtui.connections.clean import clean
from mailtui.model.audit import AuditEvent
from mailtui.model.audit_document import leaves, tree


class EventStrip(Widget):
    """As much as fits; Enter on the row shows everything."""

    COMPONENT_CLASSES = {"strip--message", "strip--name"}
    DEFAULT_CSS = """
    EventStrip {
        height: 4; padding: 0 1; border-top: solid $panel;
        &.ascii { border-top: ascii $foreground 40%; }
        & > .strip--message { text-style: bold; }
        & > .strip--name { color: $foreground 65%; }
    }
    """
    event: reactive[AuditEvent | None] = reactive(None)
    first: tuple[str, ...] = ()
    """Fields that a column may cut short: they come first, whole."""
    last: tuple[str, ...] = ()
    """Fields that a column shows well enough."""

    def render(self) -> Text:
        """Message, then `name=value` of the document's fields."""
        event = self.event
        text = Text(overflow="fold", end="")
        if event is None:
            return text
        if event.message:
            text.append(clean(event.message), style=self._style("message"))
            text.append("\n")
        shown = {event.message}
        room = self.content_size.width * self.content_size.height
        for name, value in sorted(leaves(tree(event.document)), key=self._rank):
            if value in shown or name.startswith("@"):
                continue
            text.append(f"{clean(name)}=", style=self._style("name"))
            text.append(f"{clean(value)}  ")
            if len(text) > room:
                break
        return text

    def _rank(self, leaf: tuple[str, str]) -> int:
        name = leaf[0]
        if name in self.first:
            return 0
        return 2 if name in self.last or name.startswith("ecs.") else 1

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"strip--{name}")
