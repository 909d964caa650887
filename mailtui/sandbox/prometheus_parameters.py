"""Parameters of Prometheus' HTTP API: times, durations, matchers; and its errors."""

from __future__ import annotations

import math
from datetime import datetime

import promql_parser as ast

from mailtui.sandbox.promql_syntax import matchers_of, parse, unwrapped
from mailtui.sandbox.promql_values import ParseError
from mailtui.sandbox.tsdb import Matcher

_LONGEST = 2**63 / 1e9


class ApiError(Exception):
    """An answer `{"status": "error", …}`."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        """errorType: bad_data, execution, timeout, not_found."""
        self.message = message


def bad(message: str) -> ApiError:
    """400 bad_data."""
    return ApiError(400, "bad_data", message)


def parse_time(text: str, name: str) -> int:
    """Epoch milliseconds of unix seconds or RFC 3339."""
    try:
        seconds = float(text)
        if not math.isfinite(seconds):
            raise ValueError(text)
        return round(seconds * 1000)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or "T" not in text:
            raise ValueError(text)
        return round(moment.timestamp() * 1000)
    except ValueError:
        raise bad(
            f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp'
        ) from None


def parse_duration(text: str, name: str) -> int:
    """Milliseconds of seconds or a duration as `1h30m`."""
    try:
        seconds = float(text)
        if not math.isfinite(seconds):
            raise ValueError(text)
    except ValueError:
        try:
            seconds = ast.parse_duration(text).total_seconds()
        except (ValueError, OverflowError):
            raise bad(
                f'invalid parameter "{name}": cannot parse "{text}" to a valid duration'
            ) from None
    if seconds > _LONGEST:
        raise bad(
            f'invalid parameter "{name}": cannot parse "{text}" to a valid duration. '
            "It overflows int64"
        )
    return round(seconds * 1000)


def parse_selector(text: str) -> list[Matcher]:
    """The matchers of one `match[]`."""
    try:
        node = unwrapped(parse(text))
    except ParseError as error:
        raise bad(f'invalid parameter "match[]": parse error: {error}') from error
    if not isinstance(node, ast.VectorSelector):
        raise bad(f'invalid parameter "match[]": parse error: not a series selector: {text}')
    return matchers_of(node)
