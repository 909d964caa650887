"""What `fail2ban-client` prints, versions 1.0 and 1.1 (fail2ban-client(1))."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator

from mailtui.model.bans import Ban

_JAILS = re.compile(r"Jail list:\s*(.*)")
_FIELD = re.compile(r"[|`\s-]*(?P<name>[A-Z][\w ]+):\s*(?P<value>.*)")
_BAN = re.compile(
    r"(?P<address>\S+)\s+(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) \+ (?P<seconds>-?\d+) = .*"
)
_ZONE = re.compile(r"([+-])(\d\d)(\d\d)")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ fail2ban\s+\[\d+\]: \w+\s+")
"""What fail2ban's logger writes before the words of an error."""


def jails(status: str) -> list[str]:
    """Names in `fail2ban-client status`."""
    found = _JAILS.search(status)
    return [name.strip() for name in found[1].split(",") if name.strip()] if found else []


def fields(status: str) -> dict[str, str]:
    """`Currently failed`, `Banned IP list`… of `fail2ban-client status JAIL`."""
    matches = (_FIELD.fullmatch(line) for line in status.splitlines())
    return {match["name"]: match["value"].strip() for match in matches if match}


def number(text: str | None) -> int | None:
    """A whole number, or None."""
    try:
        return int(text) if text else None
    except ValueError:
        return None


def utc_offset(zone: str) -> int | None:
    """Seconds east of UTC of `date +%z`."""
    found = _ZONE.fullmatch(zone.strip())
    if found is None:
        return None
    seconds = int(found[2]) * 3600 + int(found[3]) * 60
    return -seconds if found[1] == "-" else seconds


def bans(host: str, jail: str, text: str, offset: int | None) -> Iterator[Ban]:
    """Bans of `get JAIL banip --with-time`, which prints the host's local time.

    Without `offset` (seconds east of UTC) the times are unknown.
    """
    for line in text.splitlines():
        match = _BAN.fullmatch(line.strip())
        if match is None:
            continue
        seconds = int(match["seconds"])
        banned_at = _epoch(match["at"], offset)
        lasts = banned_at is not None and seconds >= 0
        yield Ban(
            host=host,
            jail=jail,
            address=match["address"],
            banned_at=banned_at,
            expires_at=banned_at + seconds if banned_at is not None and lasts else None,
            permanent=seconds < 0,
        )


def reason(stderr: str) -> str:
    """An error without its time stamp."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return _STAMP.sub("", lines[-1]).strip() if lines else ""


def _epoch(local: str, offset: int | None) -> float | None:
    if offset is None:
        return None
    try:
        return float(calendar.timegm(time.strptime(local, "%Y-%m-%d %H:%M:%S")) - offset)
    except (ValueError, OverflowError):
        return None
