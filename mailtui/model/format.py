"""How numbers, sizes, ages and times are written; locale and TZ of the console's process.

Numbers are thin-grouped with commas (screens.md's `5,214`), whatever the locale.
"""

from __future__ import annotations

import math
import time

_UNITS = ("", "k", "M", "G", "T", "P")


def count(value: float | None) -> str:
    """`5,214`; unknown is `?`."""
    if value is None:
        return "?"
    return f"{value:,.0f}"


def short(value: float | None) -> str:
    """`5.2 k`, `38 G`: at most three digits and a decimal prefix; unknown is `?`."""
    return _scaled(value, 1000.0)


def size(value: float | None) -> str:
    """Bytes as `3.4 k`, `38 G` with binary prefixes (1 k = 1024 bytes); unknown is `?`."""
    return _scaled(value, 1024.0)


def _scaled(value: float | None, base: float) -> str:
    if value is None:
        return "?"
    sign, value = ("-", -value) if value < 0 else ("", float(value))
    unit = 0
    # 999.5 would be written as 1000: the next unit then
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= base
        unit += 1
    number = f"{value:.0f}" if value >= 9.95 or unit == 0 else f"{value:.1f}"
    return f"{sign}{number} {_UNITS[unit]}".rstrip()


def percent(ratio: float | None, digits: int = 0) -> str:
    """`94 %` of a ratio from 0 to 1; unknown is `?`. Rounds down, so 99.6 % is not full."""
    if ratio is None:
        return "?"
    scale = 10**digits
    return f"{int(ratio * 100 * scale + 1e-9) / scale:.{digits}f} %"


def used(ratio: float | None) -> str:
    """A used share as df(1) writes it: `94 %`, rounded up; unknown is `?`."""
    return "?" if ratio is None else f"{math.ceil(ratio * 100 - 1e-9)} %"


def age(seconds: float | None) -> str:
    """`12 s`, `2 m 10 s`, `3 h 12 m`, `5 d 2 h`; unknown is `?`."""
    if seconds is None:
        return "?"
    s = max(0, int(seconds))
    if s < 60:
        return f"{s} s"
    if s < 600:
        return f"{s // 60} m {s % 60:02d} s"
    if s < 3600:
        return f"{s // 60} m"
    if s < 86400:
        return f"{s // 3600} h {s % 3600 // 60:02d} m"
    return f"{s // 86400} d {s % 86400 // 3600:02d} h"


def clock_time(epoch: float | None) -> str:
    """`14:03:27` in local time; unknown is `?`."""
    return "?" if epoch is None else time.strftime("%H:%M:%S", time.localtime(epoch))


def date_time(epoch: float | None) -> str:
    """`2026-11-24 14:03:27` in local time; unknown is `?`."""
    return "?" if epoch is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(epoch))


def since(epoch: float | None, now: float) -> str:
    """`13:41` if within the last 20 hours, else `11-22 13:41`; unknown is `?`."""
    if epoch is None:
        return "?"
    pattern = "%H:%M" if abs(now - epoch) < 20 * 3600 else "%m-%d %H:%M"
    return time.strftime(pattern, time.localtime(epoch))


def rate(value: float | None, unit: str) -> str:
    """`412 /min`; unknown is `? /min`."""
    if value is None:
        return f"? {unit}"
    number = f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
    return f"{number} {unit}"
