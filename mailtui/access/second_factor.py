"""The second factor: one-time codes, recovery codes, and how often one may guess.

A code is counted as an attempt before it is looked at, and accepted by a compare-and-set in SQL:
of two processes with the same code, one is refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from mailtui.access import recovery, schema, totp
from mailtui.access.database import Database
from mailtui.access.enrolment import Enrolment
from mailtui.access.errors import AccessError
from mailtui.access.key import AccessKey, load_key
from mailtui.config.revealed import remember
from mailtui.model import clock

if TYPE_CHECKING:
    from mailtui.config.access import Access

LONGEST_LOCK = 86400.0
"""Seconds; the lock doubles each time up to this."""
_PURPOSE = "second factor"
_CODE = re.compile(r"[0-9]{6}")
_FIRST = -1
"""A step before all others."""

Note = Callable[[], Awaitable[None]]
"""Writes to the journal before a change is committed; what it raises stops the change."""


async def _no_note() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found; true if the code was accepted."""

    accepted: bool
    words: str
    """For the operator: why not, or what else he should know. Never a code."""
    how: Literal["", "code", "recovery"] = ""
    locked_until: float = 0.0
    """Epoch seconds; 0: not locked."""

    def __bool__(self) -> bool:
        return self.accepted


@dataclass(frozen=True, slots=True)
class Factor:
    """What is known of an operator's second factor."""

    enrolled: bool = False
    confirmed_at: float | None = None
    recovery_left: int = 0
    locked_until: float = 0.0
    """Epoch seconds; 0: not locked."""


class SecondFactor:
    """The second factors of a database. Every method raises AccessError."""

    def __init__(self, database: Database, access: Access) -> None:
        self._database = database
        self._access = access
        self._key: AccessKey | None = None

    async def key(self) -> AccessKey:
        """The key of second factors and evidence; made if nothing was encrypted with one yet."""
        if self._key is None:
            async with self._database.reading() as connection:
                count = sa.select(sa.func.count()).select_from(schema.factors)
                unused = not (await connection.execute(count)).scalar()
            self._key = await asyncio.to_thread(load_key, self._access, create=unused)
        return self._key

    async def state(self, name: str) -> Factor:
        """What is known of an operator's second factor."""
        codes = schema.recovery_codes
        async with self._database.reading() as connection:
            row = await _row(connection, schema.factors, name)
            if row is None:
                return Factor()
            tried = await _row(connection, schema.attempts, name)
            left = sa.select(sa.func.count()).where(
                codes.c.operator == name, codes.c.used_at.is_(None)
            )
            recovery_left = (await connection.execute(left)).scalar() or 0
        until = tried.locked_until if tried is not None else 0.0
        return Factor(True, row.confirmed_at, recovery_left, until if until > clock.now() else 0.0)

    # --- enrolment ---

    async def begin(self, name: str, machine: str, code: str = "") -> Enrolment:
        """A new secret for an operator; one that he has already is replaced only with a code."""
        import pyotp

        async with self._database.reading() as connection:
            await _enabled(connection, name)
            row = await _row(connection, schema.factors, name)
        await self.key()
        if row is not None and not (verdict := await self.check(name, code)):
            raise AccessError(verdict.words, kind="permission")
        return Enrolment(
            operator=name,
            secret=remember(pyotp.random_base32(32)),
            account=f"{name}@{machine}" if machine else name,
            replaces=row.confirmed_at if row is not None else None,
        )

    async def confirm(
        self, enrolment: Enrolment, code: str, note: Note = _no_note
    ) -> tuple[str, ...]:
        """Put the new secret in force by a code of it; ten recovery codes, shown only now."""
        now, name = clock.now(), enrolment.operator
        word = _digits(code)
        if word is None:
            raise AccessError("a code has six digits", kind="permission")
        steps = totp.matching(enrolment.secret, word, totp.accepted(now))
        if not steps:
            near = totp.matching(enrolment.secret, word, totp.told(now))
            words = totp.drift_words(near[0], now) if near else "this is not the code of the secret"
            raise AccessError(words, kind="permission")
        key = await self.key()
        codes = recovery.new_codes()
        hashes = await asyncio.to_thread(_hashes, codes)
        async with self._database.writing(alone=True) as connection:
            await _enabled(connection, name)
            row = await _row(connection, schema.factors, name)
            if (row.confirmed_at if row is not None else None) != enrolment.replaces:
                raise AccessError("the second factor was changed meanwhile", kind="usage")
            for table in (schema.recovery_codes, schema.factors, schema.attempts):
                await connection.execute(sa.delete(table).where(table.c.operator == name))
            await connection.execute(
                sa.insert(schema.factors).values(
                    operator=name,
                    secret=key.seal(_PURPOSE, name, enrolment.secret.encode()),
                    key_id=key.id,
                    confirmed_at=now,
                    last_step=steps[-1],
                    told_step=_FIRST,
                )
            )
            await connection.execute(
                sa.insert(schema.attempts).values(operator=name, count=0, locks=0, locked_until=0.0)
            )
            await _insert_codes(connection, name, hashes)
            await note()
        return codes

    async def renew_recovery(self, name: str, code: str, note: Note = _no_note) -> tuple[str, ...]:
        """Ten new recovery codes instead of those that are left; a code is needed."""
        if not (verdict := await self.check(name, code)):
            raise AccessError(verdict.words, kind="permission")
        codes = recovery.new_codes()
        hashes = await asyncio.to_thread(_hashes, codes)
        table = schema.recovery_codes
        async with self._database.writing(alone=True) as connection:
            await connection.execute(sa.delete(table).where(table.c.operator == name))
            await _insert_codes(connection, name, hashes)
            await note()
        return codes

    # --- checking ---

    async def check(self, name: str, code: str) -> Verdict:
        """Whether this is the operator's code now, or one of his recovery codes; never twice."""
        digits, word = _digits(code), recovery.normal(code)
        if digits is None and word is None:
            return Verdict(False, "a code has six digits (a recovery code: xxxxx-xxxxx)")
        async with self._database.reading() as connection:
            await _enabled(connection, name)
            row = await _row(connection, schema.factors, name)
        if row is None:
            return Verdict(False, f"{name} has no second factor: mailtui operator enroll")
        secret = await self._secret(row)
        if (locked := await self._admit(name)) is not None:
            return locked
        if digits is not None:
            return await self._check_digits(name, secret, digits)
        assert word is not None
        return await self._check_recovery(name, word)

    async def _secret(self, row: Any) -> str:
        key = await self.key()
        if row.key_id != key.id:
            raise AccessError(
                f"the second factor of {row.operator} was encrypted with another key",
                f"restore that key, or an admin resets: mailtui operator reset {row.operator}",
                "key",
            )
        return remember(key.unseal(_PURPOSE, row.operator, row.secret).decode("ascii"))

    async def _admit(self, name: str) -> Verdict | None:
        """Count an attempt; the refusal if there were too many."""
        now, table = clock.now(), schema.attempts
        mine = table.c.operator == name
        async with self._database.writing() as connection:
            await connection.execute(
                sa.update(table)
                .where(mine, table.c.locked_until > 0, table.c.locked_until <= now)
                .values(count=0, locked_until=0.0)
            )
            counted = await connection.execute(
                sa.update(table)
                .where(mine, table.c.count < self._access.attempts)
                .values(count=table.c.count + 1)
            )
            row = await _row(connection, table, name)
            if row is None:
                raise AccessError(
                    f"the second factor of {name} is incomplete",
                    f"an admin resets it: mailtui operator reset {name}",
                )
            if not counted.rowcount:
                return _locked(row.locked_until, now)
            if row.count >= self._access.attempts:
                # the last one that is looked at; a right code takes this back
                length = min(self._access.lock * 2.0 ** min(row.locks, 30), LONGEST_LOCK)
                length = max(length, self._access.lock)
                await connection.execute(
                    sa.update(table)
                    .where(mine)
                    .values(locked_until=now + length, locks=table.c.locks + 1)
                )
        return None

    async def _check_digits(self, name: str, secret: str, digits: str) -> Verdict:
        now, table = clock.now(), schema.factors
        right = totp.matching(secret, digits, totp.accepted(now))
        for step in right:
            async with self._database.writing() as connection:
                taken = await connection.execute(
                    sa.update(table)
                    .where(table.c.operator == name, table.c.last_step < step)
                    .where(table.c.told_step != step)
                    .values(last_step=step)
                )
                if taken.rowcount == 1:
                    await _forgive(connection, name)
                    return Verdict(True, "", "code")
        if right:
            return await self._wrong(
                name, "this code was used already: wait for the next one (up to 30 s)"
            )
        near = totp.matching(secret, digits, totp.told(now))
        if near:
            # it was just said to be right at its time: it must not be accepted when that comes
            async with self._database.writing() as connection:
                await connection.execute(
                    sa.update(table).where(table.c.operator == name).values(told_step=near[0])
                )
            return await self._wrong(name, totp.drift_words(near[0], now))
        return await self._wrong(name, "this is not the code")

    async def _check_recovery(self, name: str, word: str) -> Verdict:
        table = schema.recovery_codes
        async with self._database.reading() as connection:
            rows = list(
                await connection.execute(
                    sa.select(table).where(table.c.operator == name, table.c.used_at.is_(None))
                )
            )
        found = await asyncio.to_thread(_which, [(row.id, row.hash) for row in rows], word)
        if found is None:
            return await self._wrong(name, "this is no recovery code, or it was used already")
        async with self._database.writing() as connection:
            taken = await connection.execute(
                sa.update(table)
                .where(table.c.id == found, table.c.used_at.is_(None))
                .values(used_at=clock.now())
            )
            if taken.rowcount == 1:
                await _forgive(connection, name)
                left = len(rows) - 1
                words = (
                    f"recovery code accepted, {left} left: mailtui operator codes makes new ones"
                )
                return Verdict(True, words, "recovery")
        return await self._wrong(name, "this recovery code was used already")

    async def _wrong(self, name: str, words: str) -> Verdict:
        async with self._database.reading() as connection:
            row = await _row(connection, schema.attempts, name)
        now = clock.now()
        if row is not None and row.locked_until > now:
            locked = _locked(row.locked_until, now)
            return Verdict(False, f"{words}; {locked.words}", "", locked.locked_until)
        left = self._access.attempts - (row.count if row is not None else 0)
        more = f"; {left} more {'try' if left == 1 else 'tries'}" if 0 < left <= 2 else ""
        return Verdict(False, f"{words}{more}")


def _digits(code: str) -> str | None:
    word = code.replace(" ", "").strip()
    return word if _CODE.fullmatch(word) else None


def _locked(until: float, now: float) -> Verdict:
    left = max(1, round(until - now))
    at = datetime.fromtimestamp(until).astimezone().strftime("%H:%M:%S")
    length = f"{left} s" if left < 120 else f"{left // 60} min"
    return Verdict(False, f"too many wrong codes: none is taken until {at} ({length})", "", until)


def _hashes(codes: tuple[str, ...]) -> list[str]:
    return [recovery.hashed(remember(code)) for code in codes]


def _which(stored: list[tuple[int, str]], word: str) -> int | None:
    return next((number for number, hash in stored if recovery.is_hash_of(hash, word)), None)


async def _row(connection: AsyncConnection, table: sa.Table, name: str) -> Any:
    return (await connection.execute(sa.select(table).where(table.c.operator == name))).first()


async def _enabled(connection: AsyncConnection, name: str) -> None:
    table = schema.operators
    row = (await connection.execute(sa.select(table).where(table.c.name == name))).first()
    if row is None:
        raise AccessError(f"{name} is no operator", "an admin adds one", "permission")
    if row.disabled:
        raise AccessError(f"{name} is disabled", "an admin enables", "permission")


async def _forgive(connection: AsyncConnection, name: str) -> None:
    await connection.execute(
        sa.update(schema.attempts)
        .where(schema.attempts.c.operator == name)
        .values(count=0, locks=0, locked_until=0.0)
    )


async def _insert_codes(connection: AsyncConnection, name: str, hashes: list[str]) -> None:
    await connection.execute(
        sa.insert(schema.recovery_codes), [{"operator": name, "hash": h} for h in hashes]
    )
