"""The syntax tree of a shell script (IEEE Std 1003.1-2017, Shell Command Language, 2.9)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Literal:
    """Text as it stands."""

    text: str
    quoted: bool


@dataclass(slots=True)
class Parameter:
    """`$name`, `${name}` or `${name:-default}`."""

    name: str
    quoted: bool
    default: Word | None = None
    if_empty: bool = False


@dataclass(slots=True)
class Substitution:
    """`$(list)`."""

    body: List
    quoted: bool


Word = list[Literal | Parameter | Substitution]


@dataclass(slots=True)
class Redirect:
    """`fd op word`."""

    fd: int
    op: str
    target: Word


@dataclass(slots=True)
class Simple:
    """Assignments, words and redirections."""

    assignments: list[tuple[str, Word]] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """`{ list; }`, or `( list )` in a subshell."""

    body: List
    subshell: bool
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class If:
    """`if list; then list; [elif …] [else list;] fi`."""

    branches: list[tuple[List, List]]
    otherwise: List | None
    redirects: list[Redirect] = field(default_factory=list)


@dataclass(slots=True)
class For:
    """`for name in words; do list; done`."""

    name: str
    words: list[Word]
    body: List
    redirects: list[Redirect] = field(default_factory=list)


Command = Simple | Group | If | For


@dataclass(slots=True)
class Pipeline:
    """`[!] command | command …`."""

    commands: list[Command]
    negated: bool


@dataclass(slots=True)
class AndOr:
    """A pipeline, then (`&&` or `||`, pipeline) pairs."""

    first: Pipeline
    rest: list[tuple[str, Pipeline]]


List = list[AndOr]
