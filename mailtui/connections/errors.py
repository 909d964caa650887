"""Why a source could not be read, in one exception that every connection raises."""

from __future__ import annotations

from mailtui.config.revealed import mask
from mailtui.connections.clean import clean
from mailtui.model.reading import FaultKind


class SourceError(Exception):
    """A read failed: kind, what happened, what to do next. Never holds a secret."""

    def __init__(self, kind: FaultKind, message: str, hint: str = "") -> None:
        # a server may quote what it was sent
        message, hint = clean(mask(message)), clean(mask(hint))
        self.kind: FaultKind = kind
        self.message = message
        self.hint = hint
        super().__init__(f"{message}; {hint}" if hint else message)


class ToolMissing(SourceError):
    """The target does not have (or not use) what was asked for: not an error of the target."""

    def __init__(self, tool: str, host: str, message: str = "") -> None:
        super().__init__("missing-tool", message or f"{tool} is not on {host}")
        self.tool = tool
