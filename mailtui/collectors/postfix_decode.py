"""`postqueue -j` lines → Message records, fast: a busy host has 100,000 of them.

A line that was seen in the listing before gives the same record again without being parsed, so
that a poll costs what changed. postqueue(1), JSON OBJECT FORMAT; strings are cleaned here, because
the runner's `chunks` are raw bytes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import msgspec

from mailtui.connections.clean import clean, clean_tree
from mailtui.model.mail import KEPT_RECIPIENTS, Message, QueueListing, Recipient
from mailtui.model.reasons import normalise

_MAILER_DAEMON = "MAILER-DAEMON"
"""What postqueue shows for the empty envelope sender."""


class _Line(msgspec.Struct, gc=False):
    queue_name: str
    queue_id: str
    arrival_time: int
    message_size: int
    sender: str
    recipients: tuple[Recipient, ...]
    forced_expire: bool = False


_decode = msgspec.json.Decoder(_Line).decode
_decode_lines = msgspec.json.Decoder(_Line).decode_lines


def _is_plain(data: bytes) -> bool:
    """True if no string in it can need cleaning: a control character can only be written as an
    escape, DEL and C1 also as themselves."""
    return data.isascii() and b"\\" not in data and b"\x7f" not in data


class Listing:
    """One listing while it comes in; `known` are the lines of the one before."""

    def __init__(self, host: str, limit: int, known: Lines | None = None) -> None:
        self._host = host
        self._limit = limit
        self._known: dict[int, Message] = known.by_hash if known is not None else {}
        self.lines = Lines()
        self._words: dict[str, str] = known.words if known is not None else {}
        self._domains: dict[str, str] = {}
        self._by_id: dict[str, Message] = {}
        self._beyond: dict[str, str] = {}
        self._malformed = 0
        self.changed = 0
        """Lines that had to be parsed."""

    def add(self, lines: Sequence[bytes]) -> None:
        """Take in whole lines; of one queue ID the last line stands."""
        # within one process a bytes object's hash is a keyed 64-bit SipHash (PEP 456)
        numbers = [hash(line) for line in lines]
        found = list(map(self._known.get, numbers))
        if None in found:
            fresh = [n for n, message in enumerate(found) if message is None]
            for n, message in zip(fresh, self._parsed([lines[n] for n in fresh]), strict=True):
                found[n] = message
        by_id, kept = self._by_id, self.lines.by_hash
        room = len(by_id) + len(lines) <= self._limit
        for number, message in zip(numbers, found, strict=True):
            if message is None:
                continue
            queue_id = message.queue_id
            if room or queue_id in by_id or len(by_id) < self._limit:
                by_id[queue_id] = message
                kept[number] = message
            else:
                self._beyond[queue_id] = message.queue_name

    def result(self, notes: Sequence[str] = ()) -> QueueListing:
        """The listing. It is not a transaction: a message may have moved while it was made."""
        self.lines.words = self._words if len(self._words) < 2 * self._limit else {}
        counts = Counter(m.queue_name for m in self._by_id.values())
        counts.update(self._beyond.values())
        return QueueListing(
            messages=tuple(self._by_id.values()),
            total=len(self._by_id) + len(self._beyond),
            counts=dict(counts),
            malformed=self._malformed,
            notes=tuple(notes),
        )

    def _parsed(self, lines: list[bytes]) -> list[Message | None]:
        """One record for each line, None for a line that is none."""
        self.changed += len(lines)
        whole = b"\n".join(lines)
        if _is_plain(whole):
            try:
                found = _decode_lines(whole)
            except msgspec.DecodeError:
                found = []  # one of them is malformed
            if len(found) == len(lines):  # blank lines are passed over there
                return list(map(self._message, found))
        return list(map(self._parsed_one, lines))

    def _parsed_one(self, line: bytes) -> Message | None:
        if not line or line.isspace():
            return None
        plain = _is_plain(line)
        try:
            found = _decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            again = _tolerant(line)
            if again is None:
                self._malformed += 1
                return None
            found, plain = again, False
        return self._message(found if plain else _cleaned(found))

    def _message(self, found: _Line) -> Message:
        recipients = found.recipients
        count = len(recipients)
        if count == 1:
            one = recipients[0]
            address = one.address
            domain = address[address.rfind("@") + 1 :] if "@" in address else ""
            destination = self._domains.get(domain) or self._domain(domain)
            reason = normalise(one.delay_reason)
        else:
            destination, reason = self._shared(recipients)
            recipients = recipients[:KEPT_RECIPIENTS]
        shared = self._words.setdefault
        sender = found.sender
        return Message(
            self._host,
            shared(found.queue_name, found.queue_name),
            found.queue_id,
            found.arrival_time,
            found.message_size,
            "" if sender == _MAILER_DAEMON else shared(sender, sender),
            recipients,
            count,
            destination,
            reason,
            found.forced_expire,
        )

    def _domain(self, domain: str) -> str:
        lower = domain.lower()
        return self._domains.setdefault(domain, self._words.setdefault(lower, lower))

    def _shared(self, recipients: Sequence[Recipient]) -> tuple[str, str]:
        """The domain that most recipients share, and the reason that most of those share."""
        if not recipients:
            return "", ""
        domains = [
            self._domain(r.address.rpartition("@")[2] if "@" in r.address else "")
            for r in recipients
        ]
        destination = Counter(domains).most_common(1)[0][0]
        raw = Counter(
            r.delay_reason
            for r, domain in zip(recipients, domains, strict=True)
            if domain == destination and r.delay_reason
        )
        reasons: Counter[str] = Counter()
        for text, times in raw.items():
            reasons[normalise(text)] += times
        return destination, reasons.most_common(1)[0][0] if reasons else ""


class Lines:
    """What is remembered of one listing for the next."""

    __slots__ = ("by_hash", "words")

    def __init__(self) -> None:
        self.by_hash: dict[int, Message] = {}
        self.words: dict[str, str] = {}
        """Strings that many messages share, each once in memory."""


def _tolerant(line: bytes) -> _Line | None:
    """A line that is not UTF-8 or has lone surrogates, decoded all the same; None if no JSON."""
    try:
        return msgspec.convert(
            clean_tree(json.loads(line.decode("utf-8", errors="replace"), strict=False)), _Line
        )
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def _cleaned(found: _Line) -> _Line:
    return _Line(
        clean(found.queue_name),
        clean(found.queue_id),
        found.arrival_time,
        found.message_size,
        clean(found.sender),
        tuple(Recipient(clean(r.address), clean(r.delay_reason)) for r in found.recipients),
        found.forced_expire,
    )
