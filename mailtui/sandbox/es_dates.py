"""Dates as Elasticsearch reads them: formats, partial dates, date math, rounding.

Reference: "Date math" and "format" in the Elasticsearch guide. Instants are epoch milliseconds.
"""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mailtui.sandbox.es_errors import EsError, illegal

DEFAULT_FORMAT = "strict_date_optional_time||epoch_millis"

_UTC = dt.UTC
_ISO = re.compile(
    r"(?P<y>\d{4})(?:-(?P<mo>\d\d)(?:-(?P<d>\d\d)(?:T"
    r"(?:(?P<h>\d\d)(?::(?P<mi>\d\d)(?::(?P<s>\d\d)(?:[.,](?P<f>\d{1,9}))?)?)?)?"
    r"(?P<z>Z|[+-]\d\d(?::?\d\d)?)?)?)?)?"
)
_MATH = re.compile(r"(?P<sign>[+-])(?P<n>\d*)(?P<unit>[yMwdhHms])|/(?P<round>[yMwdhHms])")
_JAVA = {
    "yyyy": "%Y", "uuuu": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S",
    "SSS": "%f", "XXX": "%z", "Z": "%z", "EEE": "%a", "MMM": "%b",
}  # fmt: skip
_JAVA_TOKEN = re.compile(r"'([^']*)'|([A-Za-z])\2*|.", re.DOTALL)
_SPAN = {"h": 3_600_000, "H": 3_600_000, "m": 60_000, "s": 1000}


def zone(name: str | None) -> dt.tzinfo:
    """The time zone of a request (`+02:00`, `Europe/Berlin`); UTC by default."""
    if not name or name in ("Z", "UTC"):
        return _UTC
    if match := re.fullmatch(r"([+-])(\d\d):?(\d\d)", name):
        delta = dt.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return dt.timezone(delta if match[1] == "+" else -delta)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise illegal(f"Unknown time-zone ID: {name}") from error


def to_millis(moment: dt.datetime) -> int:
    """Exact milliseconds since the epoch."""
    delta = moment - dt.datetime(1970, 1, 1, tzinfo=_UTC)
    return (delta.days * 86400 + delta.seconds) * 1000 + delta.microseconds // 1000


def from_millis(millis: int, tz: dt.tzinfo = _UTC) -> dt.datetime:
    """The moment in a zone."""
    return (dt.datetime(1970, 1, 1, tzinfo=_UTC) + dt.timedelta(milliseconds=millis)).astimezone(tz)


def parse(
    text: object,
    *,
    now: int,
    round_up: bool = False,
    formats: str | None = None,
    tz: dt.tzinfo = _UTC,
) -> int:
    """A date expression as epoch milliseconds.

    `round_up` gives the last millisecond of what a partial date or a rounding leaves open, as
    `lte` and `gt` do. Raises EsError (400, parse_exception) for what is no date in the formats.
    """
    if isinstance(text, bool):
        raise _no_date(str(text), formats)
    if isinstance(text, int | float):
        return int(text) * 1000 if formats == "epoch_second" else int(text)
    value = str(text)
    if value.startswith("now"):
        return _math(from_millis(now), value[3:], round_up, tz, value, formats)
    base, mark, math = value.partition("||")
    start, end = _absolute(base, formats, tz)
    if not mark:
        return end if round_up else start
    return _math(from_millis(start), math, round_up, tz, value, formats)


def _no_date(value: str, formats: str | None) -> EsError:
    names = formats or DEFAULT_FORMAT
    inner = f"failed to parse date field [{value}] with format [{names}]"
    return EsError(400, "parse_exception", f"{inner}: [{inner}]")


def _absolute(value: str, formats: str | None, tz: dt.tzinfo) -> tuple[int, int]:
    """First and last millisecond that the text may mean."""
    for name in (formats or DEFAULT_FORMAT).split("||"):
        if name == "epoch_millis" and re.fullmatch(r"-?\d+(\.\d+)?", value):
            millis = int(float(value)) if "." in value else int(value)
            return millis, millis
        if name == "epoch_second" and re.fullmatch(r"-?\d+(\.\d+)?", value):
            millis = round(float(value) * 1000)
            return millis, millis
        if "optional_time" in name or name in ("strict_date", "date", "iso8601"):
            found = _iso(value, tz)
        elif name.startswith("epoch_"):
            found = None
        else:
            found = _custom(value, name, tz)
        if found is not None:
            return found
    raise _no_date(value, formats)


def _iso(value: str, tz: dt.tzinfo) -> tuple[int, int] | None:
    match = _ISO.fullmatch(value)
    if match is None:
        return None
    part = match.groupdict()
    if part["z"]:
        tz = zone(part["z"] if ":" in part["z"] or part["z"] == "Z" else _long(part["z"]))
    fraction = (part["f"] or "").ljust(6, "0")[:6]
    try:
        start = dt.datetime(
            int(part["y"]), int(part["mo"] or 1), int(part["d"] or 1), int(part["h"] or 0),
            int(part["mi"] or 0), int(part["s"] or 0), int(fraction), tzinfo=tz,
        )  # fmt: skip
    except ValueError:
        return None
    for key, unit in (("f", ""), ("s", "s"), ("mi", "m"), ("h", "h"), ("d", "d"), ("mo", "M")):
        if part[key]:
            finest = unit
            break
    else:
        finest = "y"
    first = to_millis(start)
    return first, to_millis(add(start, 1, finest)) - 1 if finest else first


def _long(offset: str) -> str:
    return f"{offset[:3]}:{offset[3:] or '00'}"


def _custom(value: str, pattern: str, tz: dt.tzinfo) -> tuple[int, int] | None:
    python = ""
    for match in _JAVA_TOKEN.finditer(pattern):
        token = match[0]
        if match[1] is not None:
            python += match[1].replace("%", "%%") or "'"
        elif match[2]:
            if token not in _JAVA:
                raise illegal(f"Invalid format: [{pattern}]: Unknown pattern letter: {token[0]}")
            python += _JAVA[token]
        else:
            python += token.replace("%", "%%")
    try:
        moment = dt.datetime.strptime(value, python)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=tz)
    first = to_millis(moment)
    finest = next((u for c, u in (("%f", ""), ("%S", "s"), ("%M", "m"), ("%H", "h"), ("%d", "d"),
                                  ("%m", "M")) if c in python), "y")  # fmt: skip
    return first, to_millis(add(moment, 1, finest)) - 1 if finest else first


def add(moment: dt.datetime, count: int, unit: str) -> dt.datetime:
    """A calendar step; months and years clip to the last day, days follow the zone's clock."""
    if unit in _SPAN:
        return (
            moment.astimezone(_UTC) + dt.timedelta(milliseconds=_SPAN[unit] * count)
        ).astimezone(moment.tzinfo)
    if unit in ("d", "w"):
        return moment + dt.timedelta(days=count * (7 if unit == "w" else 1))
    months = count * {"M": 1, "q": 3, "y": 12}[unit]
    total = moment.year * 12 + moment.month - 1 + months
    year, month = divmod(total, 12)
    after = dt.date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1)
    last = (after - dt.timedelta(days=1)).day
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def floor(moment: dt.datetime, unit: str) -> dt.datetime:
    """The start of the calendar unit; weeks begin on Monday."""
    if unit == "s":
        return moment.replace(microsecond=0)
    if unit == "m":
        return moment.replace(second=0, microsecond=0)
    if unit in ("h", "H"):
        return moment.replace(minute=0, second=0, microsecond=0)
    day = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "d":
        return day
    if unit == "w":
        return day - dt.timedelta(days=day.weekday())
    if unit == "M":
        return day.replace(day=1)
    if unit == "q":
        return day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1)
    return day.replace(day=1, month=1)


def _math(  # noqa: PLR0917 - the parts of one expression
    moment: dt.datetime,
    math: str,
    round_up: bool,
    tz: dt.tzinfo,
    text: str,
    formats: str | None,
) -> int:
    position = 0
    moment = moment.astimezone(tz)
    try:
        while position < len(math):
            match = _MATH.match(math, position)
            if match is None:
                raise EsError(
                    400, "parse_exception", f"operator not supported for date math [{math}]"
                )
            position = match.end()
            if unit := match["round"]:
                moment = floor(moment, unit)
                if round_up:
                    moment = add(moment, 1, unit) - dt.timedelta(milliseconds=1)
            else:
                count = int(match["n"] or 1)
                moment = add(moment, -count if match["sign"] == "-" else count, match["unit"])
    except (OverflowError, ValueError) as error:
        raise _no_date(text, formats) from error
    return to_millis(moment)


def show(millis: int, tz: dt.tzinfo = _UTC, formats: str | None = None) -> str:
    """A date as the answers print it (`key_as_string`, formatted sort values)."""
    name = (formats or "strict_date_optional_time").split("||")[0]
    if name == "epoch_millis":
        return str(millis)
    if name == "epoch_second":
        return f"{millis / 1000:.3f}".rstrip("0").rstrip(".")
    moment = from_millis(millis, tz)
    if "optional_time" in name or name == "iso8601":
        text = moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
        return text + _offset(moment)
    if name in ("strict_date", "date"):
        return moment.strftime("%Y-%m-%d")
    out = ""
    for match in _JAVA_TOKEN.finditer(name):
        token = match[0]
        if match[1] is not None:
            out += match[1] or "'"
        elif match[2]:
            if token not in _JAVA:
                raise illegal(f"Invalid format: [{name}]: Unknown pattern letter: {token[0]}")
            out += {
                "SSS": f"{moment.microsecond // 1000:03d}", "XXX": _offset(moment),
            }.get(token) or moment.strftime(_JAVA[token])  # fmt: skip
        else:
            out += token
    return out


def _offset(moment: dt.datetime) -> str:
    text = moment.strftime("%z")
    return "Z" if text == "+0000" else f"{text[:3]}:{text[3:]}"
