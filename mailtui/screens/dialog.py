"""A dialog that always gives an answer, also when it is taken away from below."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import App

A = TypeVar("A")


class Dialog(ModalScreen[A], Generic[A]):
    """A box whose middle scrolls and whose end, with the buttons, is always visible.

    `#box` holds the widgets in their order; `#middle` among them is the one that scrolls.
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
        middle = self.query_one("#middle", VerticalScroll)
        others = sum(
            widget.outer_size.height + widget.styles.margin.height
            for widget in self.query_one("#box", Vertical).children
            if widget is not middle and widget.display
        )
        around = 2 + middle.styles.margin.height  # the border, and what keeps it apart
        middle.styles.max_height = max(2, self.size.height - around - others)
        self.call_after_refresh(self._say_more)

    def _say_more(self) -> None:
        box, middle = self.query_one("#box"), self.query_one("#middle", VerticalScroll)
        hidden = middle.virtual_size.height - middle.size.height - round(middle.scroll_y)
        box.border_subtitle = f"PgDn: {hidden} lines more" if hidden > 0 else ""

    def action_scroll_middle(self, by: int) -> None:
        """Move the middle by a line."""
        self._scroll(by)

    def action_page_middle(self, by: int) -> None:
        """Move the middle by a screenful."""
        self._scroll(by * max(1, self.query_one("#middle", VerticalScroll).size.height - 1))

    def _scroll(self, by: int) -> None:
        middle = self.query_one("#middle", VerticalScroll)
        middle.scroll_relative(y=by, animate=False)
        self.call_after_refresh(self._say_more)

    def _focusable(self) -> list[Widget]:
        return [widget for widget in self.query(Widget) if widget.focusable]
