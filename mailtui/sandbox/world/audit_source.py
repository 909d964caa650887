"""What happens on the platform, as audit events; any minute can be made from its own seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from mailtui.sandbox.world import corpus
from mailtui.sandbox.world.audit import AuditEvent

if TYPE_CHECKING:
    from mailtui.sandbox.world import World

_ID = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

_KINDS: tuple[tuple[str, int], ...] = (
    ("login", 700),
    ("login-failed", 16),
    ("delivery", 150),
    ("submission", 90),
    ("search", 18),
    ("expunge", 12),
    ("sieve", 3),
    ("password", 2),
    ("second-factor", 4),
    ("admin", 5),
)
_LABELS = tuple(k for k, _ in _KINDS)
_WEIGHTS = []
_total = 0
for _, _weight in _KINDS:
    _total += _weight
    _WEIGHTS.append(_total)

_SERVICES = (("imap", 80), ("web", 14), ("smtp", 6))
_ADMIN = (
    ("user-created", "created mailbox {user}"),
    ("quota-changed", "quota of {user} set to 20 GB"),
    ("alias-added", "alias postmaster@ added to {user}"),
    ("queue-flushed", "flushed the queue of mx1"),
    ("role-granted", "role helpdesk granted to {user}"),
)


class AuditSource:
    """Makes the events of any span of a world."""

    def __init__(self, world: World) -> None:
        """The world's hosts must be there already."""
        self._world = world
        self._seed = f"{world.seed}/{world.scenario}/audit/"
        by_role: dict[str, list[str]] = {}
        for host in world.hosts.values():
            by_role.setdefault(host.roles[0], []).append(host.name)
        everyone = list(world.hosts)
        self._hosts = {
            "imap": by_role.get("store", everyone),
            "web": by_role.get("web", by_role.get("store", everyone)),
            "smtp": by_role.get("mx", everyone),
        }
        people = random.Random(f"{world.seed}/people")
        self._people = [corpus.local_address(people) for _ in range(160)]
        self._homes = [corpus.public_ip(people) for _ in range(220)]

    def make(self, start: int, end: int) -> list[AuditEvent]:
        """The events with start ≤ time < end, oldest first; several may share a millisecond."""
        source = random.Random(f"{self._seed}{start}")
        pick, uniform = source.choices, source.random
        plan = self._world.plan
        events: list[AuditEvent] = []
        for second in range(start, end):
            # two to seven, plus what the scenario adds: 3-8 a second in all
            number = 3 + int(uniform() * 5)
            millis = sorted(int(uniform() * 1000) for _ in range(number))
            if uniform() < 0.2:
                millis[-1] = millis[0]
                millis.sort()
            kinds = pick(_LABELS, cum_weights=_WEIGHTS, k=number)
            for at, kind in zip(millis, kinds, strict=True):
                events.append(self._event(source, second * 1000 + at, kind))
            extra = plan.audit_failures.at(float(second))
            if extra and uniform() < extra % 1.0:
                extra += 1.0
            for _ in range(int(extra)):
                events.append(self._attack(source, second * 1000 + int(uniform() * 1000)))
            if extra:
                events.sort(key=lambda e: e.millis)
        return events

    def _event(self, source: random.Random, millis: int, kind: str) -> AuditEvent:
        uniform = source.random
        person = int(uniform() * 160)
        tenant, user = self._people[person]
        ip = self._homes[(person + int(uniform() * 3)) % 220]
        service = "imap"
        action, outcome, category = "user-login", "success", "authentication"
        extra: tuple[tuple[str, str], ...] = ()
        if kind in ("login", "login-failed"):
            roll = uniform()
            service = "imap" if roll < 0.8 else "web" if roll < 0.94 else "smtp"
            message = f"{user} logged in over {service}"
            if kind == "login-failed":
                outcome = "failure"
                message = f"authentication failure for {user} over {service}: bad password"
            extra = (("user_agent.original", corpus.USER_AGENTS[person % 5]),)
        elif kind in ("delivery", "submission"):
            service = "smtp"
            action, category = ("message-delivered", "email")
            if kind == "submission":
                action = "message-submitted"
            subject = corpus.subject(source)
            message = f"{kind} of “{subject}”"
            extra = (
                ("email.subject", subject),
                ("email.to.address", corpus.remote_address(source)),
            )
            if uniform() < 0.03:
                action, outcome = "message-deferred", "unknown"
        elif kind == "search":
            action, category, message = "mailbox-searched", "database", f"{user} searched INBOX"
        elif kind == "expunge":
            action, category = "message-expunged", "file"
            message = f"{user} expunged {1 + int(uniform() * 40)} messages from Trash"
        elif kind == "sieve":
            action, category = "sieve-changed", "configuration"
            service, message = "web", f"{user} changed the Sieve script “vacation”"
        elif kind == "password":
            action, category = "password-changed", "iam"
            service, message = "web", f"{user} changed the password"
        elif kind == "second-factor":
            action, category, service = "second-factor-verified", "authentication", "web"
            message = f"{user} verified a second factor (TOTP)"
            if uniform() < 0.1:
                outcome, message = "failure", f"{user} gave a wrong TOTP code"
        else:
            action, text = source.choice(_ADMIN)
            category, service = "iam", "web"
            message = f"admin {text.format(user=user)}"
            extra = (("user.target.name", user),)
            user = "admin@example.org"
        host = self._hosts[service][person % len(self._hosts[service])]
        return AuditEvent(
            millis, self._id(source), action, outcome, category, user, ip, host, service, tenant,
            message, extra,
        )  # fmt: skip

    def _attack(self, source: random.Random, millis: int) -> AuditEvent:
        """A failed login of the scenario's attackers: many addresses, one user most of the time."""
        victim = (
            "bob@example.org" if source.random() < 0.7 else self._people[source.randrange(160)][1]
        )
        hosts = self._world.plan.attacked_hosts or tuple(self._hosts["smtp"])
        ip = f"203.0.113.{source.randrange(1, 255)}"
        if source.random() < 0.05:
            ip = corpus.public_ip(source)
        return AuditEvent(
            millis, self._id(source), "user-login", "failure", "authentication", victim, ip,
            source.choice(hosts), "smtp", "acme",
            f"SASL LOGIN authentication failed for {victim}: UGFzc3dvcmQ6",
        )  # fmt: skip

    @staticmethod
    def _id(source: random.Random) -> str:
        number = source.getrandbits(120)
        return "".join([_ID[number >> shift & 63] for shift in range(0, 120, 6)])
