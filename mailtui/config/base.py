"""What every settings model shares: strictness, durations, files beside the configuration."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationInfo

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Strict(BaseModel):
    """A settings model: frozen, unknown keys are errors, values never appear in error texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def parse_duration(value: Any) -> float:
    """Seconds of `15s`, `2m 30s`, `1.5h`, `250ms` or a plain number of seconds."""
    if isinstance(value, bool) or value is None:
        raise ValueError("expected a duration like 15s, 2m or 1h")
    if isinstance(value, int | float):
        seconds = float(value)
    else:
        text = str(value).strip()
        parts = _DURATION.findall(text)
        if not parts or _DURATION.sub("", text).strip():
            raise ValueError("expected a duration like 15s, 2m or 1h")
        seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 < seconds < math.inf:
        raise ValueError("expected a duration greater than 0")
    return seconds


def format_duration(seconds: float) -> str:
    """`15s`, `2m`, `1h`: the largest unit that needs no fraction; `parse_duration` reads it."""
    for unit in ("d", "h", "m", "s"):
        if seconds >= _SECONDS[unit] and (seconds / _SECONDS[unit]).is_integer():
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


def _beside(value: Any, info: ValidationInfo) -> Any:
    """A relative path is relative to the configuration file; `~` is the home directory."""
    if not isinstance(value, str | Path):
        return value
    path = Path(value).expanduser()
    base = (info.context or {}).get("base")
    return path if path.is_absolute() or base is None else Path(base) / path


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
]
"""Seconds; written as `15s`, `2m`, `1h`."""

FilePath = Annotated[Path, BeforeValidator(_beside)]
"""A path; relative ones are relative to the configuration file."""


class Source(Strict):
    """Settings that every source has."""

    enabled: bool = True
    interval: Duration = 15.0
    """Time between reads."""
    timeout: Duration = 10.0
    """Hard limit of one read."""


class HostSource(Source):
    """Settings of a source that is read on every host; it is on unless it is disabled."""
