"""Keys that work on every screen. Ids are stable: a keymap may rebind them."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from mailtui.screens import ORDER


def _key(id_: str, keys: str, action: str, title: str, tooltip: str) -> Binding:
    return Binding(keys, action, title, show=False, id=f"app.{id_}", tooltip=tooltip)


BINDINGS: list[BindingType] = [
    *(
        _key(f"screen_{n}", str(n), f"go('{name}')", name.capitalize(), f"Go to {name}")
        for n, name in enumerate(ORDER, 1)
    ),
    _key("command", "colon", "command", "Command", "Type a command"),
    _key("filter", "slash", "filter", "Filter", "Filter the list in focus"),
    _key("help", "question_mark,f1", "help", "Help", "Keys, commands, filter language"),
    _key("back", "escape,backspace", "back", "Back", "Take off the filter, or go back"),
    _key("read", "r,f5", "read_now", "Read now", "Show new rows and read every source now"),
    _key("undo", "u", "undo", "Undo", "Plan to take back your last run that can be"),
    _key("stop", "full_stop", "stop_run", "Stop", "Stop what runs, between two of its steps"),
    _key("outcome", "o", "outcome", "Outcome", "How the last run ended, in full"),
    _key("contexts", "C", "contexts", "Contexts", "Work on another platform"),
    _key("copy", "y", "copy", "Copy", "Copy the row under the cursor, or the marked rows"),
    _key("export", "e", "export_prompt", "Export", "Write the shown rows to a file"),
    _key("next_pane", "tab", "app.focus_next", "Next pane", "Focus the next list"),
    _key("suspend", "ctrl+z", "suspend_process", "Suspend", "Back to the shell; fg returns"),
    _key("quit", "q,ctrl+q", "leave", "Quit", "End the console"),
]
