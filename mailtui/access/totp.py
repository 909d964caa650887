"""One-time codes by time (RFC 6238): which step a code is of. No I/O."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

STEP = 30
"""Seconds that a code is shown."""
DIGITS = 6
WINDOW = 1
"""Steps before and after the present one that are accepted: clocks 30 s apart."""
TELLING = 10
"""Steps in which a right code is recognised, so that a wrong clock can be named."""


def step_at(now: float) -> int:
    """Number of the step at `now` (epoch seconds)."""
    return int(now // STEP)


def matching(secret: str, code: str, steps: Iterable[int]) -> list[int]:
    """Those of `steps` whose code this is; every one is compared, in constant time."""
    import pyotp

    totp = pyotp.TOTP(secret, digits=DIGITS, interval=STEP)
    return [s for s in steps if s >= 0 and hmac.compare_digest(totp.generate_otp(s), code)]


def accepted(now: float) -> range:
    """Steps whose codes are accepted at `now`."""
    step = step_at(now)
    return range(step - WINDOW, step + WINDOW + 1)


def told(now: float) -> list[int]:
    """Steps around those, the nearest first: their codes are refused with the drift."""
    step = step_at(now)
    return [step + sign * n for n in range(WINDOW + 1, TELLING + 1) for sign in (-1, 1)]


def drift_words(step: int, now: float) -> str:
    """What a right code of another time means."""
    off = (step - step_at(now)) * STEP
    if off < 0:
        return (
            f"this code is {-off} s old: use the one that is shown now; if it was that one, "
            f"the phone's clock is about {-off} s behind this machine's (see timedatectl)"
        )
    return (
        f"this code is of a time {off} s from now: the phone's clock is about {off} s ahead of "
        "this machine's (see timedatectl), set the one that is wrong"
    )
