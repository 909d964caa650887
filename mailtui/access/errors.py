"""Every failure of operators, keys and their database: what happened, what to do next."""

from __future__ import annotations

from typing import Literal

Kind = Literal["database", "key", "permission", "usage"]
"""database: it cannot be used now; key: secrets cannot be read with it; permission: this operator
may not; usage: what was asked for makes no sense (an unknown name, the last admin)."""


class AccessError(Exception):
    """A sentence and a hint; neither has a secret in it."""

    def __init__(self, message: str, hint: str = "", kind: Kind = "database") -> None:
        self.message, self.hint = message, hint
        self.kind: Kind = kind
        super().__init__(f"{message}; {hint}" if hint else message)
