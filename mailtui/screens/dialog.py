"""A dialog that always gives an answer, also when it is taken away from below."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen

if TYPE_CHECKING:
    from textual.app import App

A = TypeVar("A")


class Middle(VerticalScroll, can_focus=False):
    """The part that scrolls; it tells how much of it is out of sight."""

    def on_mount(self) -> None:
        """What is in it may grow later."""
        self.watch(self, "virtual_size", self._tell, init=False)
        self.watch(self, "scroll_y", self._tell, init=False)

    def on_resize(self) -> None:
        """Another height."""
        self._tell()

    def _tell(self) -> None:
        hidden = self.virtual_size.height - self.size.height - round(self.scroll_y)
        box = self.parent
        if isinstance(box, Vertical):
            box.border_subtitle = f"PgDn: {hidden} lines more" if hidden > 0 else ""


class Dialog(ModalScreen[A], Generic[A]):
    """A box whose middle scrolls and whose end, with the buttons, is always visible.

    `#box` holds the widgets in their order; a `Middle` among them is the one that scrolls.
    """

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog #box {
        width: 94%; max-width: 110; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; background: $surface;
    }
    Dialog #middle { height: auto; scrollbar-size-vertical: 1; }
    Dialog #middle > * { height: auto; }
    """
    BINDINGS = [
        Binding("up", "scroll_middle(-1)", "Up", show=False),
        Binding("down", "scroll_middle(1)", "Down", show=False),
        Binding("pageup", "page_middle(-1)", "Page up", show=False),
        Binding("pagedown", "page_middle(1)", "Page down", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._answer: asyncio.Future[A | None] | None = None

    async def answer(self, app: App[Any]) -> A | None:
        """Show it and wait; None if it was closed."""
        self._answer = asyncio.get_running_loop().create_future()
        await app.push_screen(self, self._give)
        return await self._answer

    def _give(self, value: A | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(value)

    def on_unmount(self) -> None:
        """Taken away without an answer (a change of screens): that is a no."""
        self._give(None)

    # --- room ---

    def on_mount(self) -> None:
        """The room for the middle is known after the first layout."""
        self.call_after_refresh(self.fit)

    def on_resize(self) -> None:
        """Another height, another share for the middle."""
        self.call_after_refresh(self.fit)

    def fit(self) -> None:
        """Give the middle what the other lines leave."""
        middle = self.query_one(Middle)
        others = sum(
            widget.outer_size.height + widget.styles.margin.height
            for widget in self.query_one("#box", Vertical).children
            if widget is not middle and widget.display
        )
        around = 2 + middle.styles.margin.height  # the border, and what keeps it apart
        middle.styles.max_height = max(2, self.size.height - around - others)

    def action_scroll_middle(self, by: int) -> None:
        """Move the middle by a line."""
        self._scroll(by)

    def action_page_middle(self, by: int) -> None:
        """Move the middle by a screenful."""
        self._scroll(by * max(1, self.query_one(Middle).size.height - 1))

    def _scroll(self, by: int) -> None:
        middle = self.query_one(Middle)
        middle.scroll_relative(y=by, animate=False)
