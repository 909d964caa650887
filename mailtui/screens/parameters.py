"""The form of an operation that needs to be told more."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from mailtui.connections.clean import clean
from mailtui.operations.base import Operation, Parameter
from mailtui.screens.dialog import Dialog, Middle
from mailtui.widgets.choice import Choice


class Field(Input):
    """One parameter; Up and Down go through its choices."""

    def __init__(self, parameter: Parameter, value: str) -> None:
        super().__init__(
            value,
            placeholder=parameter.example and f"such as {parameter.example}",
            id=f"field-{parameter.name}",
            select_on_focus=False,
        )
        self.parameter = parameter

    def on_key(self, event: events.Key) -> None:
        """A choice is picked, not typed."""
        choices = self.parameter.choices
        if event.key not in ("up", "down") or not choices:
            return
        event.stop()
        event.prevent_default()
        step = 1 if event.key == "down" else -1
        at = choices.index(self.value) + step if self.value in choices else 0
        self.value = choices[at % len(choices)]
        self.cursor_position = len(self.value)

    def wrong(self) -> str:
        """Why this cannot be used, or an empty string."""
        parameter, value = self.parameter, self.value.strip()
        if parameter.required and not value:
            return "this is needed"
        if value and parameter.choices and value not in parameter.choices:
            return f"expected one of {', '.join(parameter.choices)}"
        return ""


class ParametersDialog(Dialog[dict[str, str]]):
    """Gives name → value of what was filled in, or None."""

    DEFAULT_CSS = """
    ParametersDialog #title { height: auto; text-style: bold; }
    ParametersDialog #middle { margin-top: 1; }
    ParametersDialog #middle Horizontal { height: 1; }
    ParametersDialog .name { width: 18; text-style: bold; }
    ParametersDialog .about { color: $foreground 65%; margin: 0 0 1 18; height: auto; }
    ParametersDialog .about.wrong { color: $text-error; text-style: bold; }
    ParametersDialog Input { border: none; height: 1; padding: 0; width: 1fr; background: $panel; }
    ParametersDialog Input:focus { border: none; background: $boost; text-style: underline; }
    ParametersDialog #said { height: auto; color: $text-error; text-style: bold; }
    ParametersDialog #buttons { height: 1; align-horizontal: right; }
    """
    BINDINGS = [Binding("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, operation: Operation, values: Mapping[str, str], words: str, said: str = ""
    ) -> None:
        """`words`: on what; `said`: why the last try could not be planned."""
        super().__init__()
        self._operation, self._values, self._words, self._said = operation, values, words, said

    def compose(self) -> ComposeResult:
        """A line for each parameter, what it is below."""
        operation = self._operation
        with Vertical(id="box"):
            words = f": {clean(self._words)}" if self._words else ""
            yield Static(Text(f"{operation.title}{words}"), id="title")
            with Middle(id="middle"):
                for parameter in operation.parameters:
                    with Horizontal():
                        yield Static(Text(parameter.name), classes="name")
                        yield Field(parameter, self._values.get(parameter.name, parameter.default))
                    yield Static(
                        _about(parameter), id=f"about-{parameter.name}", classes="about",
                        markup=False,
                    )  # fmt: skip
            yield Static(clean(self._said), id="said", markup=False)
            with Horizontal(id="buttons"):
                yield Choice("Cancel", id="cancel")
                yield Choice("Plan it", id="go")

    def on_mount(self) -> None:
        """Begin at the first parameter that is empty."""
        super().on_mount()
        self.query_one("#said").display = bool(self._said)
        fields = list(self.query(Field))
        next((f for f in fields if not f.value), fields[0]).focus()

    @on(Input.Submitted)
    def _entered(self, event: Input.Submitted) -> None:
        """Enter goes through the fields; from the last it plans."""
        event.stop()
        fields = list(self.query(Field))
        at = next(i for i, f in enumerate(fields) if f is event.input)
        if self._check(fields[at]):
            return
        if at + 1 < len(fields):
            fields[at + 1].focus()
        else:
            self._finish()

    @on(Choice.Pressed)
    def _pressed(self, event: Choice.Pressed) -> None:
        event.stop()
        if event.choice.id == "cancel":
            self.dismiss(None)
        else:
            self._finish()

    def _finish(self) -> None:
        fields = list(self.query(Field))
        wrong = [field for field in fields if self._check(field)]
        if wrong:
            wrong[0].focus()
            return
        self.dismiss({f.parameter.name: v for f in fields if (v := f.value.strip())})

    def _check(self, field: Field) -> str:
        """Say in place what is wrong with a field."""
        wrong = field.wrong()
        about = self.query_one(f"#about-{field.parameter.name}", Static)
        about.set_class(bool(wrong), "wrong")
        about.update(wrong or _about(field.parameter))
        return wrong


def _about(parameter: Parameter) -> str:
    words = parameter.help
    if parameter.choices:
        words += f" (Up, Down: {', '.join(parameter.choices)})"
    elif not parameter.required:
        words += " (may be left empty)" if not parameter.default else ""
    return words
