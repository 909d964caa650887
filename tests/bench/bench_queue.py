"""What 100,000 queued messages cost: decode a listing, decode it again, group it.

Run: python tests/bench/bench_queue.py
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from mailtui.collectors.postfix_decode import Lines, Listing
from mailtui.model.groups import BY, group
from mailtui.problems.queue_summary import deferred

COUNT = 100_000
NOW = 1_795_000_000
GMAIL = (
    "host gmail-smtp-in.l.google.com[142.251.1.{n}] said: 421-4.7.0 [203.0.113.9      15] Our "
    "system has detected an unusual rate of 421-4.7.0 unsolicited mail originating from your IP "
    "address. To protect our 421-4.7.0 users from spam, mail sent from your IP address has been "
    "temporarily 421-4.7.0 rate limited. Please visit 421-4.7.0 https://support.google.com/mail/"
    "?p=UnsolicitedRateLimitError to 421 4.7.0 review our Bulk Email Senders Guidelines. {id} - "
    "gsmtp (in reply to end of DATA command)"
)


def made(count: int) -> list[bytes]:
    """Lines of a busy host: most to Gmail, some greylisted, some unreachable."""
    source = random.Random(1)
    lines = []
    for number in range(count):
        identifier = f"{source.getrandbits(64):x}"
        domain, reason = source.choices(
            (
                ("gmail.com", GMAIL.format(n=number % 30, id=identifier)),
                (
                    "example.net",
                    f"host mx.example.net[192.0.2.{number % 250}] said: 450 4.2.0 "
                    f"<user{number % 5000}@example.net>: Recipient address rejected: Greylisted",
                ),
                ("example.com", "connect to mail.example.com[192.0.2.25]:25: Connection timed out"),
            ),
            (6, 2, 2),
        )[0]
        record = {
            "queue_name": "deferred",
            "queue_id": f"4b{number:x}z{identifier[:4]}",
            "arrival_time": NOW - number * 3,
            "message_size": 3000 + number,
            "forced_expire": False,
            "sender": f"user{number % 3000}@dept{number % 5}.example.org",
            "recipients": [{"address": f"person{number}@{domain}", "delay_reason": reason}],
        }
        lines.append(json.dumps(record).encode())
    return lines


def timed(name: str, work: Callable[[], Any]) -> Any:
    """Run once; print CPU seconds."""
    began = time.process_time()
    result = work()
    print(f"{name:<40} {time.process_time() - began:6.3f} s CPU")
    return result


def listing(lines: list[bytes], known: Lines | None = None) -> Listing:
    """A listing of these lines, by the thousand."""
    found = Listing("mx1", 200_000, known)
    for start in range(0, len(lines), 1000):
        found.add(lines[start : start + 1000])
    return found


def main() -> None:
    """Print the figures."""
    lines = made(COUNT)
    print(f"{COUNT:,} messages, {sum(map(len, lines)) / 1e6:.0f} MB")
    first = timed("listing, decoded and cleaned", lambda: listing(lines))
    value = first.result()
    changed = [bytes(bytearray(line)) for line in lines]
    timed("listing, nothing changed", lambda: listing(changed, first.lines).result())
    for by in BY:
        timed(f"grouped by {by}", lambda by=by: group(value.messages, by, NOW))  # type: ignore[misc]
    timed("what dominates", lambda: deferred([("mx1", value)]))
    timed("what dominates, nothing changed", lambda: deferred([("mx1", value)]))


if __name__ == "__main__":
    main()
