"""config.yaml → typed settings; every error at once, with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from mailtui.config.doubts import doubts
from mailtui.config.problems import ConfigError, ConfigProblem
from mailtui.config.secrets import Secret
from mailtui.config.settings import Settings

Loc = tuple[str | int, ...]

MOST_NODES = 200_000
"""Keys and values of a configuration; a thousand hosts have some ten thousand."""


def load(path: Path) -> Settings:
    """The settings in `path`. Raises ConfigError with every problem that was found.

    A secret's file that others can read is a problem; a secret that is not there (an unset
    variable, a missing file) is not: its source says so when it is read. See `warnings`.
    """
    return parse(read(path), path)


def warnings(settings: Settings, text: str, path: Path) -> list[ConfigProblem]:
    """What of `settings` cannot work on this machine now, or is hardly meant."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = dict(_lines(root, ())) if root is not None else {}
    found = [
        ConfigProblem(path, _line(lines, loc), _dotted(loc), problem, "warning")
        for loc, secret in _secrets(settings, ())
        if (problem := secret.problem() or secret.missing_command()) is not None
    ]
    found += [
        ConfigProblem(path, _line(lines, loc), _dotted(loc), words, "warning")
        for loc, words in doubts(settings)
    ]
    return sorted(found, key=lambda warning: warning.line)


def read(path: Path) -> str:
    """The text of a configuration file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([ConfigProblem(path, 0, "", error.strerror or str(error))]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([ConfigProblem(path, 0, "", f"not UTF-8: {error.reason}")]) from None


def parse(text: str, path: Path) -> Settings:
    """The settings in `text`, which stands in `path`. Raises ConfigError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise ConfigError([_yaml_problem(path, error)]) from None
    if root is None:
        raise ConfigError([ConfigProblem(path, 0, "", "the file is empty; expected `contexts:`")])
    if not _is_bounded(root):
        words = f"more than {MOST_NODES:,} values, or an alias that contains itself"
        raise ConfigError([ConfigProblem(path, 0, "", words)])
    doubles = [
        ConfigProblem(path, line, _dotted(loc), "this key is written twice")
        for loc, line in _doubles(root, ())
    ]
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError([*doubles, _yaml_problem(path, error)]) from None
    lines, problems = dict(_lines(root, ())), doubles
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(data, context={"base": path.absolute().parent})
    except ValidationError as error:
        problems += [
            ConfigProblem(path, _line(lines, item["loc"]), _dotted(item["loc"]), _message(item))
            for item in error.errors(include_url=False, include_input=False)
        ]
    if settings is not None:
        for loc, secret in _secrets(settings, ()):
            if (problem := secret.exposed()) is not None:
                problems.append(ConfigProblem(path, _line(lines, loc), _dotted(loc), problem))
    if problems or settings is None:
        raise ConfigError(sorted(problems, key=lambda problem: problem.line))
    return settings


def _yaml_problem(path: Path, error: yaml.YAMLError) -> ConfigProblem:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        text = " ".join(part for part in (error.context, error.problem) if part)
        return ConfigProblem(path, error.problem_mark.line + 1, "", f"not valid YAML: {text}")
    return ConfigProblem(path, 0, "", f"not valid YAML: {error}")


def _is_bounded(root: yaml.Node) -> bool:
    """False if the tree is too large with its aliases written out (a few lines can be millions)."""
    nodes, seen = [root], 0
    while nodes:
        node, seen = nodes.pop(), seen + 1
        if seen > MOST_NODES:
            return False
        if isinstance(node, yaml.MappingNode):
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
    return True


def _lines(node: yaml.Node, loc: Loc) -> Iterator[tuple[Loc, int]]:
    yield loc, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*loc, key.value)
            yield from _lines(value, inner)
            # the key's own line is where a reader looks, also for a nested mapping
            yield inner, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _lines(value, (*loc, index))


def _doubles(node: yaml.Node, loc: Loc) -> Iterator[tuple[Loc, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # no key of ours: PyYAML itself refuses it
            if key.value in seen:
                yield (*loc, key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _doubles(value, (*loc, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _doubles(value, (*loc, index))


def _line(lines: dict[Loc, int], loc: Loc) -> int:
    """Line of the nearest node that exists (a missing key has none of its own)."""
    for end in range(len(loc), -1, -1):
        if (line := lines.get(tuple(loc[:end]))) is not None:
            return line
    return 0


def _dotted(loc: Loc) -> str:
    return ".".join(str(part) for part in loc)


_MAPPING = "expected keys with values below it, like {key: value}"
_EXPECTED = {
    "tuple_type": "expected a list, like [one, two]",
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "string_type": "expected a text; a word that YAML reads otherwise goes in quotes",
}
"""Pydantic's error types whose own words speak of Python."""


def _message(item: Any) -> str:
    kind, loc = item["type"], item["loc"]
    if kind == "extra_forbidden":
        valid = _valid_keys(loc[:-1])
        near = difflib.get_close_matches(str(loc[-1]), valid, n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"unknown key{hint} (expected one of {', '.join(valid)})"
    if kind == "missing":
        return "this key is required"
    if kind in ("value_error", "assertion_error"):
        return str(item["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    message = str(item["msg"])
    return message[0].lower() + message[1:]


def _valid_keys(loc: Loc) -> list[str]:
    """The keys that a mapping at `loc` may have."""
    kind: Any = Settings
    for part in loc:
        kind = _inner(kind, part)
    models = [m for m in _candidates(kind) if isinstance(m, type) and issubclass(m, BaseModel)]
    return sorted({name for model in models for name in model.model_fields})


def _inner(kind: Any, part: str | int) -> Any:
    for candidate in _candidates(kind):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            if part in candidate.model_fields:
                return candidate.model_fields[str(part)].annotation
        elif args := get_args(candidate):
            return args[-1] if args[-1] is not Ellipsis else args[0]
    return None


def _candidates(kind: Any) -> list[Any]:
    origin = getattr(kind, "__origin__", None)
    if isinstance(kind, type) or origin in (dict, list, tuple):
        return [kind]
    return [arg for arg in get_args(kind) if arg is not type(None)]


def _secrets(model: BaseModel, loc: Loc) -> Iterator[tuple[Loc, Secret]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, Secret):
            yield (*loc, name), value
        elif isinstance(value, BaseModel):
            yield from _secrets(value, (*loc, name))
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, BaseModel):
                    yield from _secrets(inner, (*loc, name, key))
