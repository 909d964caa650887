"""Why mail is deferred: one cause is a destination (or our own store) with its answers."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass, field

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.clock import Course

LIFETIME = 5 * 86400.0
"""Seconds that a message may stay queued (`maximal_queue_lifetime`)."""
_MIN_BACKOFF, _MAX_BACKOFF = 300.0, 4000.0


@dataclass(slots=True)
class Cause:
    """A reason for deferrals. `rate` is in messages a second over the platform."""

    name: str
    rate: Course
    accept: Course
    """Chance that one retry is accepted, 0 to 1."""
    domains: tuple[tuple[str, int], ...]
    """Recipient domains by weight; empty: local recipients (LMTP to the store)."""
    answers: tuple[tuple[str, int], ...]
    """Templates of delay reasons by weight: {ip} {own} {id} {rcpt} {domain} {n}."""
    servers: tuple[str, ...] = ()
    """`name[address]` of the remote servers, for {server}."""
    senders: tuple[str, ...] = ()
    """Envelope senders; empty: any of our users."""
    hosts: tuple[str, ...] = ()
    """mx hosts that it concerns; empty: all."""

    def answer(self, source: random.Random, own: str, recipient: str) -> str:
        """One delay reason, with its variable parts."""
        return corpus.weighted(source, self.answers).format(
            server=source.choice(self.servers) if self.servers else "",
            own=own,
            id=f"{corpus.token(source, 13)}-{corpus.token(source, 10)}",
            rcpt=recipient,
            domain=recipient.rpartition("@")[2],
            n=source.randrange(20, 3600),
        )

    def recipient(self, source: random.Random) -> str:
        """One recipient address."""
        if not self.domains:
            return corpus.local_address(source)[1]
        return f"{source.choice(corpus.REMOTE_USERS)}@{corpus.weighted(source, self.domains)}"


def backoff(age: float) -> float:
    """Seconds until the next attempt of a message of that age (qmgr(8))."""
    return min(max(age, _MIN_BACKOFF), _MAX_BACKOFF)


def _attempts() -> list[float]:
    """Ages of a message at its retries."""
    ages, age = [], _MIN_BACKOFF
    while age <= LIFETIME:
        ages.append(age)
        age += backoff(age)
    return ages


_ATTEMPTS = _attempts()


def survival(age: float, accept: float) -> float:
    """Chance that a message first deferred `age` seconds ago is still there."""
    if age > LIFETIME:
        return 0.0
    return float((1.0 - accept) ** bisect_right(_ATTEMPTS, age))


GMAIL = (
    "gmail-smtp-in.l.google.com[142.251.1.27]",
    "gmail-smtp-in.l.google.com[142.250.102.26]",
    "alt1.gmail-smtp-in.l.google.com[142.250.153.26]",
    "alt2.gmail-smtp-in.l.google.com[142.251.9.27]",
)

RATE_LIMITED = (
    "host {server} said: 421-4.7.0 [{own}      15] Our system has detected an unusual rate of "
    "421-4.7.0 unsolicited mail originating from your IP address. To protect our 421-4.7.0 users "
    "from spam, mail sent from your IP address has been temporarily 421-4.7.0 rate limited. Please "
    "visit 421-4.7.0 https://support.google.com/mail/?p=UnsolicitedRateLimitError to 421 4.7.0 "
    "review our Bulk Email Senders Guidelines. {id} - gsmtp (in reply to end of DATA command)"
)

UNAUTHENTICATED = (
    "host {server} refused to talk to me: 550-5.7.26 Your email has been blocked because the "
    "sender is unauthenticated. 550-5.7.26 Gmail requires all senders to authenticate with either "
    "SPF or DKIM. 550 5.7.26 {id} - gsmtp"
)

STORE_FULL = (
    "host store1.example.org[10.77.0.13] said: 452 4.2.2 <{rcpt}> Failed to write mail: "
    "write(/var/vmail/{domain}/tmp) failed: No space left on device (in reply to end of DATA "
    "command)"
)


def everyday() -> list[Cause]:
    """What every platform has: greylisting, slow and dead destinations, full mailboxes."""
    return [
        Cause(
            "greylisted",
            Course(0.028),
            Course(0.93),
            (("gmx.de", 4), ("web.de", 3), ("posteo.de", 2), ("universität.example", 1)),
            (
                (
                    "host {server} said: 450 4.2.0 <{rcpt}>: Recipient address rejected: "
                    "Greylisted, see https://postgrey.schweikert.ch/help/{domain}.html "
                    "(in reply to RCPT TO command)",
                    3,
                ),
                (
                    "host {server} said: 451 4.7.1 Greylisting in action, please come back in {n} "
                    "seconds (in reply to RCPT TO command)",
                    2,
                ),
            ),
            ("mx00.emig.gmx.net[212.227.15.9]", "mx02.posteo.de[185.67.36.62]"),
        ),
        Cause(
            "unreachable",
            Course(0.00006),
            Course(0.004),
            (("example.net", 5), ("a-very-long-subdomain.of.some.institution.example.com", 1)),
            (
                ("connect to mail.{domain}[192.0.2.25]:25: Connection timed out", 4),
                ("connect to mail.{domain}[2001:db8::25]:25: Network is unreachable", 1),
                (
                    "Host or domain name not found. Name service error for name={domain} type=MX: "
                    "Host not found, try again",
                    1,
                ),
            ),
        ),
        Cause(
            "mailbox-full",
            Course(0.00009),
            Course(0.03),
            (("t-online.de", 3), ("yahoo.com", 2), ("outlook.com", 1)),
            (
                (
                    "host {server} said: 452 4.2.2 <{rcpt}>: The email account that you tried to "
                    "reach is over quota (in reply to RCPT TO command)",
                    1,
                ),
            ),
            ("mx00.t-online.de[194.25.134.8]", "mta5.am0.yahoodns.net[67.195.204.77]"),
        ),
        Cause(
            "hostile-answer",
            Course(0.000004),
            Course(0.0),
            (("example.com", 1),),
            (
                (
                    "host mx.example.com[198.51.100.66] said: 451 4.3.0 \x1b[2J\x1b]52;c;cm0=\x07"
                    "[/bold] \u202etxt (in reply to MAIL FROM command)",
                    1,
                ),
            ),
        ),
    ]


@dataclass(slots=True)
class Population:
    """Arrival times of what is queued at the start by host, for the past of the gauges."""

    stationary: dict[str, list[float]] = field(default_factory=dict)
    incident: dict[str, list[float]] = field(default_factory=dict)
