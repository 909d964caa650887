"""What is wrong with a configuration, each with its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong."""

    file: Path
    line: int
    """1-based; 0 if the file as a whole."""
    where: str
    """Path of keys: `contexts.production.hosts.mx1.port`."""
    message: str
    severity: Literal["problem", "warning"] = "problem"
    """A warning is about this machine (a secret that is not set), not about the file."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else str(self.file)
        return (
            f"{place}: {self.where}: {self.message}" if self.where else f"{place}: {self.message}"
        )


class ConfigError(Exception):
    """A configuration that cannot be used; carries every problem at once."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class UnknownContext(Exception):
    """A context that the configuration does not have."""

    def __init__(self, name: str, valid: list[str]) -> None:
        super().__init__(f"there is no context {name!r}; expected one of {', '.join(valid)}")
