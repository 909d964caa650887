"""A confirmation: exactly what, where, how many, what cannot be undone. Cancel has the focus."""

from __future__ import annotations

from typing import Literal

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from mailtui.connections.clean import clean
from mailtui.model.operation import Plan
from mailtui.operations.consent import Consent, Demands
from mailtui.screens.dialog import Dialog, Middle
from mailtui.screens.plan_text import danger, parts
from mailtui.widgets.choice import Choice
from mailtui.widgets.glyphs import Glyphs

Answer = Consent | Literal["ask", "decline"]
"""ask: a second operator shall approve it; decline: what was asked for is declined."""


class PlanDialog(Dialog[Answer]):
    """Shows one frozen plan; gives the operator's consent, or None."""

    DEFAULT_CSS = """
    PlanDialog #box.destructive { border: round $error; }
    PlanDialog #title { height: auto; }
    PlanDialog #asked { height: auto; padding-top: 1; }
    PlanDialog #asked Horizontal { height: 1; }
    PlanDialog .asks { width: auto; min-width: 25; padding-right: 1; }
    PlanDialog Input {
        border: none; height: 1; padding: 0; width: 1fr; max-width: 40; background: $panel;
    }
    PlanDialog Input:focus { border: none; background: $boost; text-style: underline; }
    PlanDialog #said { height: auto; color: $text-error; text-style: bold; }
    PlanDialog #buttons { height: 1; margin-top: 1; align-horizontal: right; }
    PlanDialog #middle { margin-top: 1; }
    PlanDialog.short #middle, PlanDialog.short #buttons { margin-top: 0; }
    PlanDialog.short #asked { padding-top: 0; }
    PlanDialog #middle > * { margin-bottom: 1; }
    PlanDialog #middle > *:last-of-type { margin-bottom: 0; }
    """
    BINDINGS = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("right,tab", "app.focus_next", "Next", show=False),
        Binding("left,shift+tab", "app.focus_previous", "Before", show=False),
        Binding("y", "copy", "Copy", show=False),
    ]

    def __init__(
        self,
        plan: Plan,
        demands: Demands,
        label: str,
        glyphs: Glyphs,
        *,
        said: str = "",
        approving: str = "",
    ) -> None:
        """`label`: the button's words; `said`: what was wrong with the last try; `approving`: whose
        request it is, if another operator's plan is to be approved."""
        super().__init__()
        self._plan, self._demands, self._label = plan, demands, label
        self._glyphs, self._said, self._approving = glyphs, said, approving

    def compose(self) -> ComposeResult:
        """Title and danger; the plan; what has to be typed; the buttons."""
        plan, demands = self._plan, self._demands
        box = Vertical(id="box", classes=plan.danger)
        with box:
            yield Static(self._title(), id="title", markup=False)
            with Middle(id="middle"):
                if demands.refusal and not plan.blockers:
                    yield Static(
                        Text(f"{self._glyphs.critical} {clean(demands.refusal)}", style="bold")
                    )
                for part in parts(plan, self._glyphs):
                    yield Static(part, markup=False)
            with Vertical(id="asked"):
                if self._asks_word:
                    yield from _asked("word", f"type {demands.word}")
                if self._asks_code:
                    yield from _asked("code", "code of the second factor")
            yield Static(clean(self._said), id="said", markup=False)
            with Horizontal(id="buttons"):
                yield from self._buttons()

    def _title(self) -> Text:
        text = Text(overflow="fold")
        if self._approving:
            text.append(f"{clean(self._approving)} asks: ")
        text.append(clean(self._plan.title), style="bold")
        text.append("  ")
        text.append_text(danger(self._plan.danger, self._glyphs))
        return text

    def _buttons(self) -> ComposeResult:
        refused = bool(self._demands.refusal)
        yield Choice("Close" if refused else "Cancel", id="cancel")
        if refused:
            if self._approving:
                yield Choice("Decline", id="decline")
            return
        if self._demands.approval and not self._approving:
            yield Choice("Ask for approval", id="ask")
        else:
            yield Choice(
                "Approve" if self._approving else self._label,
                id="go",
                danger=self._plan.danger == "destructive",
            )
        if self._approving:
            yield Choice("Decline", id="decline")

    @property
    def _asks_word(self) -> bool:
        demands = self._demands
        waits = demands.approval or demands.refusal or self._approving
        return demands.confirm == "word" and not waits

    @property
    def _asks_code(self) -> bool:
        demands = self._demands
        waits = demands.refusal or (demands.approval and not self._approving)
        return demands.code and not waits

    def on_mount(self) -> None:
        """Enter without a thought cancels."""
        super().on_mount()
        self.query_one("#said").display = bool(self._said)
        self.query_one("#asked").display = self._asks_word or self._asks_code
        self.query_one("#cancel", Choice).focus()

    def on_resize(self) -> None:
        """Empty lines are for those who have them."""
        self.set_class(self.size.height < 30, "short")
        super().on_resize()

    def on_key(self, event: events.Key) -> None:
        """Typing begins the word or the code, wherever the focus is; a space there would cancel.

        A key that was typed fast is still under way to a button while the field has the focus.
        """
        field = self.focused
        if not isinstance(field, Input):
            field = next((one for one in self.query(Input) if not one.value), None)
            if field is None or not (event.character or "").isalnum():
                return
            self.set_focus(field)
        if event.is_printable and event.character:
            event.stop()
            event.prevent_default()
            field.insert_text_at_cursor(event.character)

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        event.stop()
        name = event.choice.id
        if name == "cancel":
            self.dismiss(None)
        elif name == "ask":
            self.dismiss("ask")
        elif name == "decline":
            self.dismiss("decline")
        else:
            self._consent()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to the next empty one, and from the last to the button."""
        event.stop()
        empty = [field for field in self.query(Input) if not field.value.strip()]
        (empty[0] if empty else self.query_one("#go", Choice)).focus()

    def _consent(self) -> None:
        word = self.query_one("#word", Input).value.strip() if self._asks_word else ""
        code = self.query_one("#code", Input).value.strip() if self._asks_code else ""
        if self._asks_word and word != self._demands.word:
            self._complain(f"nothing runs yet: type {self._demands.word} to confirm", "#word")
        elif self._asks_code and not code:
            self._complain("nothing runs yet: a code of your second factor is needed", "#code")
        else:
            self.dismiss(Consent(confirmed=True, word=word, code=code))

    def _complain(self, words: str, field: str) -> None:
        said = self.query_one("#said", Static)
        said.update(words)
        said.display = True
        self.query_one(field, Input).focus()
        self.call_after_refresh(self.fit)

    def action_copy(self) -> None:
        """Copy the commands."""
        lines = [f"{step.place}\t{step.count}\t{step.does}" for step in self._plan.steps]
        self.app.copy_to_clipboard("\n".join((self._plan.title, *lines)))
        self.notify("copied title and commands", timeout=2)


def _asked(name: str, words: str) -> ComposeResult:
    with Horizontal():
        yield Static(Text(words), classes="asks", markup=False)
        # not masked: a code works once and for seconds, and what cannot be seen is mistyped
        yield Input(id=name, select_on_focus=False)
