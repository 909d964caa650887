"""Keys of a table. Ids are stable: a keymap may rebind them."""

from __future__ import annotations

from textual.binding import Binding, BindingType


def _key(id_: str, keys: str, action: str, title: str, tooltip: str) -> Binding:
    return Binding(keys, action, title, show=False, id=f"table.{id_}", tooltip=tooltip)


TABLE_BINDINGS: list[BindingType] = [
    _key("up", "up,k", "move(-1)", "Up", "Move to the row above"),
    _key("down", "down,j", "move(1)", "Down", "Move to the row below"),
    _key("page_up", "pageup,ctrl+b", "page(-1)", "Page up", "Move up by a screenful"),
    _key("page_down", "pagedown,ctrl+f", "page(1)", "Page down", "Move down by a screenful"),
    _key("first", "home,g", "first", "First", "Move to the first row"),
    _key("last", "end,G", "last", "Last", "Move to the last row"),
    _key("select", "enter", "select", "Open", "Open the row under the cursor"),
    _key("mark", "space", "mark", "Mark", "Mark or unmark the row and move down"),
    _key("mark_all", "*", "mark_all", "Mark all", "Mark every shown row; again: unmark them"),
    _key("range", "v", "range", "Range", "Start a range here; again: mark the range"),
    _key("mark_up", "shift+up", "mark_move(-1)", "Mark up", "Mark the row and the one above"),
    _key("mark_down", "shift+down", "mark_move(1)", "Mark down", "Mark the row and the one below"),
    _key("clear", "U,escape", "clear_marks", "Unmark", "Give up the range, or unmark every row"),
    _key("sort_next", "s", "sort(1)", "Sort", "Sort by the next column"),
    _key("sort_previous", "S", "sort(-1)", "Sort back", "Sort by the previous column"),
    _key("sort_reverse", "-", "sort_reverse", "Reverse", "Turn the order round"),
    _key("show_new", "r", "show_pending", "Show new", "Show new rows and sort again"),
]
"""`U`/`escape` and `r` pass on to the screen when there is nothing to clear or to show."""

TABLE_CSS = """
RowTable {
    height: 1fr;
    overflow-x: hidden;
    overflow-y: auto;
    scrollbar-size-vertical: 1;
    background: $surface;
    color: $foreground;
    & > .table--head { background: $panel; color: $foreground; text-style: bold; }
    & > .table--cursor {
        background: $block-cursor-blurred-background;
        color: $block-cursor-blurred-foreground;
        text-style: $block-cursor-blurred-text-style;
    }
    & > .table--mark { background: $primary 25%; text-style: bold; }
    & > .table--critical { color: $error; text-style: bold; }
    & > .table--warning { color: $text-warning; }
    & > .table--ok { color: $text-success; }
    & > .table--accent { color: $text-accent; }
    & > .table--muted { color: $foreground 60%; }
    & > .table--stale { color: $foreground 80%; text-style: dim; }
    & > .table--empty { color: $foreground 70%; }
    &:dark {  /* the text- colours are so pale that 16 colours turn them to grey */
        & > .table--critical { color: $error-lighten-1; }
        & > .table--ok { color: $success; }
    }
    &:focus > .table--cursor {
        background: $block-cursor-background;
        color: $block-cursor-foreground;
        text-style: $block-cursor-text-style;
    }
    &:nocolor > .table--cursor { text-style: bold reverse; }
    &:ansi > .table--head { text-style: bold underline; }
    &:ansi > .table--cursor { text-style: bold reverse; }
}
"""
