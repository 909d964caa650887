"""Names and texts that the simulated traffic is made of.

A few are hostile on purpose (terminal escapes, markup, bidirectional overrides): mail and logins
carry what strangers typed, and a console must show it without obeying it.
"""

from __future__ import annotations

import random

TENANTS: tuple[tuple[str, str], ...] = (
    ("acme", "example.org"),
    ("nordlicht", "nordlicht.example.org"),
    ("dept1", "dept1.example.org"),
    ("stadtwerke", "stadtwerke.example.org"),
    ("kliniken", "kliniken.example.org"),
)

USERS: tuple[str, ...] = (
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
    "niaj", "olivia", "peggy", "rupert", "sybil", "trent", "victor", "walter", "anna.schmidt",
    "jürgen.müller", "søren.kierkegaard", "zoë", "дмитрий", "田中", "info", "sales", "billing",
    "no-reply", "newsletter", "support", "office", "hr", "it", "presse", "vorstand",
    "a.very.long.mailbox.name.that.somebody.made.for.a.migration.and.never.removed.2019",
)  # fmt: skip

REMOTE_USERS: tuple[str, ...] = (
    "ann", "bo", "cleo", "dan", "eva", "finn", "gil", "hugo", "ines", "jon", "kim", "lea", "max",
    "nora", "otto", "pia", "quinn", "rosa", "sam", "tess", "uwe", "vera", "wim", "xenia", "yann",
    "zara", "контакт", "josé.garcía", "bestellung", "kontakt",
)  # fmt: skip

REMOTE_DOMAINS: tuple[tuple[str, int], ...] = (
    ("gmail.com", 30), ("outlook.com", 18), ("gmx.de", 12), ("web.de", 9), ("t-online.de", 6),
    ("yahoo.com", 6), ("icloud.com", 5), ("example.net", 4), ("example.com", 4), ("proton.me", 3),
    ("posteo.de", 2), ("universität.example", 1),
)  # fmt: skip

SUBJECTS: tuple[str, ...] = (
    "Invoice {n}", "Re: Invoice {n}", "Your order {n} has shipped", "Weekly report",
    "Protokoll der Sitzung vom Montag", "Angebot Nr. {n} – Überarbeitung", "Newsletter November",
    "Fwd: Rückfrage", "会議の議事録", "Счёт №{n}", "Reset your password", "Termin am Donnerstag?",
    "Re: Re: Re: Urlaubsplanung", "Backup finished", "Einladung zum Sommerfest 🎉",
)  # fmt: skip

HOSTILE_SUBJECTS: tuple[str, ...] = (
    "\x1b[2J\x1b[31mYou have been owned\x1b[0m",
    "\x1b]52;c;cm0gLXJmIC8=\x07 free gift",
    "Re: [/markup] [@click=app.quit]click me[/]",
    "invoice \u202efdp.exe",
    "\x9b31m eight-bit CSI \x85 next line",
)

HOSTILE_SENDERS: tuple[str, ...] = (
    "[red]bold[/]@example.com",
    "evil\x1b]0;title\x07@example.com",
    "\u202emoc.elpmaxe@olleh",
    "x" * 180 + "@a-domain-name-that-goes-on-and-on.example.com",
)

USER_AGENTS: tuple[str, ...] = (
    "Thunderbird 128.4", "Apple Mail 16.0", "Outlook 16.0", "K-9 Mail 8.0", "Roundcube 1.6.9",
)  # fmt: skip


def weighted(source: random.Random, choices: tuple[tuple[str, int], ...]) -> str:
    """One of the names, by weight."""
    point = source.random() * sum(w for _, w in choices)
    for name, weight in choices:
        point -= weight
        if point < 0:
            return name
    return choices[-1][0]


def local_address(source: random.Random) -> tuple[str, str]:
    """(tenant, address) of one of our users."""
    tenant, domain = source.choice(TENANTS)
    return tenant, f"{source.choice(USERS)}@{domain}"


def remote_address(source: random.Random) -> str:
    """An address somewhere else."""
    return f"{source.choice(REMOTE_USERS)}@{weighted(source, REMOTE_DOMAINS)}"


def subject(source: random.Random) -> str:
    """A subject; one in 60 is hostile."""
    if source.random() < 1 / 60:
        return source.choice(HOSTILE_SUBJECTS)
    return source.choice(SUBJECTS).format(n=source.randrange(10_000, 99_999))


def public_ip(source: random.Random) -> str:
    """An address of the documentation ranges (RFC 5737, RFC 3849)."""
    block = source.random()
    if block < 0.1:
        return f"2001:db8:{source.randrange(1, 0xFFFF):x}::{source.randrange(1, 0xFFFF):x}"
    net = "192.0.2" if block < 0.4 else "198.51.100" if block < 0.75 else "203.0.113"
    return f"{net}.{source.randrange(1, 255)}"


def token(source: random.Random, length: int) -> str:
    """Lower-case hexadecimal digits, as remote servers put into their answers."""
    return f"{source.getrandbits(4 * length):0{length}x}"
