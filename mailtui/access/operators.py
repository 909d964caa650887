"""Who may use the console: operators and their grants, changed by admins only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from mailtui.access import schema
from mailtui.access.database import Database
from mailtui.access.errors import AccessError
from mailtui.access.roles import ROLES, Grant, Operator
from mailtui.access.whoami import Who
from mailtui.model import clock

Record = Callable[[str, Mapping[str, Any]], None]
"""Writes (kind, facts) to the journal and waits until it is on disk; blocking. What it raises
stops the change."""

SEEN_EVERY = 60.0
"""Seconds between two notes that an operator was seen."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,254}\$?")
_WORD = re.compile(r"[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]{0,254}")


def _no_record(_: str, __: Mapping[str, Any]) -> None:
    return None


class Operators:
    """The operators of a database. Every method raises AccessError."""

    def __init__(self, database: Database, record: Record = _no_record) -> None:
        self._database = database
        self._record = record

    # --- reading ---

    async def all(self) -> list[Operator]:
        """Every operator, by name."""
        async with self._database.reading() as connection:
            return await _load(connection)

    async def get(self, name: str) -> Operator | None:
        """The operator of a system user, or None."""
        async with self._database.reading() as connection:
            return await _find(connection, name)

    async def seen(self, name: str) -> None:
        """Note that an operator is at work now."""
        now = clock.now()
        table = schema.operators
        last = table.c.last_seen
        stale = sa.or_(last.is_(None), last < now - SEEN_EVERY, last > now)
        async with self._database.writing() as connection:
            await connection.execute(
                sa.update(table).where(table.c.name == name, stale).values(last_seen=now)
            )

    # --- changing; `by` must be an admin ---

    async def add(self, by: Who, name: str, grant: Grant) -> Operator:
        """A new operator. The first one of all must be an admin, and anybody may make him."""
        if not _NAME.fullmatch(name):
            raise _usage(f"{name!r} is no name of a system user")
        _check(grant)
        first = False
        async with self._changing(by, "add", name, _facts(grant), may_be_first=True) as connection:
            everybody = await _load(connection)
            first = not everybody
            if first and not Operator(name, (grant,)).is_admin:
                raise _usage(
                    "the first operator must be an admin without limits",
                    f"mailtui operator add {name} --role admin",
                )
            if any(one.name == name for one in everybody):
                raise _usage(
                    f"{name} is an operator already", f"mailtui operator grant {name} --role …"
                )
            await connection.execute(
                sa.insert(schema.operators).values(
                    name=name, disabled=False, created_at=clock.now(), created_by=by.name
                )
            )
            await _insert_grant(connection, by, name, grant)
            return await _need(connection, name)

    async def grant(self, by: Who, name: str, grant: Grant) -> Operator:
        """Give one more grant; one that is there already is an error."""
        _check(grant)
        async with self._changing(by, "grant", name, _facts(grant)) as connection:
            operator = await _need(connection, name)
            if grant in operator.grants:
                raise _usage(f"{name} is {grant.words} already")
            await _insert_grant(connection, by, name, grant)
            return await _need(connection, name)

    async def revoke(self, by: Who, name: str, grant: Grant) -> Operator:
        """Take a grant back, exactly this one; an operator may have none."""
        async with self._changing(by, "revoke", name, _facts(grant)) as connection:
            operator = await _need(connection, name)
            if grant not in operator.grants:
                raise _usage(
                    f"{name} is not {grant.words}", f"{name} is {operator.words()}; name one of it"
                )
            table = schema.grants
            await connection.execute(
                sa.delete(table).where(
                    table.c.operator == name,
                    table.c.role == grant.role,
                    table.c.tenant == grant.tenant,
                    table.c.context == grant.context,
                )
            )
            await _keep_an_admin(connection, name)
            return await _need(connection, name)

    async def disable(self, by: Who, name: str) -> Operator:
        """He may do nothing from now on; his grants and second factor stay."""
        async with self._changing(by, "disable", name, {}) as connection:
            await _need(connection, name)
            await _set(connection, name, disabled=True)
            await _keep_an_admin(connection, name)
            return await _need(connection, name)

    async def enable(self, by: Who, name: str) -> Operator:
        """Take `disable` back."""
        async with self._changing(by, "enable", name, {}) as connection:
            await _need(connection, name)
            await _set(connection, name, disabled=False)
            return await _need(connection, name)

    async def reset(self, by: Who, name: str) -> Operator:
        """Forget his second factor, recovery codes and locks (a lost phone): he enrolls anew."""
        async with self._changing(by, "reset", name, {}) as connection:
            await _need(connection, name)
            for table in (schema.recovery_codes, schema.factors, schema.attempts):
                await connection.execute(sa.delete(table).where(table.c.operator == name))
            return await _need(connection, name)

    async def note(self, by: Who, action: str, name: str, **facts: Any) -> None:
        """Write to the journal what an operator did to himself (enroll, new recovery codes)."""
        await self._write(by, action, name, facts)

    # --- inside ---

    @asynccontextmanager
    async def _changing(
        self,
        by: Who,
        action: str,
        name: str,
        facts: Mapping[str, Any],
        *,
        may_be_first: bool = False,
    ) -> AsyncIterator[AsyncConnection]:
        """Check who acts, change, write it to the journal, and only then commit."""
        written = False
        try:
            async with self._database.writing(alone=True) as connection:
                await self._guard(connection, by, may_be_first=may_be_first)
                yield connection
                await self._write(by, action, name, facts)
                written = True
        except AccessError as error:
            # a refusal that cannot be written is still a refusal
            if written:
                await self._write(by, action, name, {**facts, "failed": str(error)})
            elif error.kind == "permission":
                with suppress(Exception):
                    await self._write(by, action, name, {**facts, "refused": str(error)})
            raise

    async def _guard(self, connection: AsyncConnection, by: Who, *, may_be_first: bool) -> None:
        actor = await _find(connection, by.name)
        if actor is None:
            count = sa.select(sa.func.count()).select_from(schema.operators)
            if not (await connection.execute(count)).scalar():
                if may_be_first:
                    return
                raise _usage(
                    "there are no operators yet",
                    f"the first is made by: mailtui operator add {by.name} --role admin",
                )
            raise AccessError(
                f"{by.name} is no operator", "an admin changes operators", kind="permission"
            )
        if not (decision := actor.may("operator.manage", None, "")):
            raise AccessError(decision.why, kind="permission")

    async def _write(self, by: Who, action: str, name: str, facts: Mapping[str, Any]) -> None:
        given = {key: value for key, value in facts.items() if value != ""}
        extra = ", ".join(f"{key} {value}" for key, value in given.items())
        entry = {
            "action": action, "operator": name, **given,
            "login": by.login, "machine": by.machine,
            "text": f"{action} {name}{f' ({extra})' if extra else ''} by {by.words}",
        }  # fmt: skip
        await asyncio.to_thread(self._record, "operator", entry)


def _usage(message: str, hint: str = "") -> AccessError:
    return AccessError(message, hint, kind="usage")


def _check(grant: Grant) -> None:
    if grant.role not in ROLES:
        raise _usage(f"there is no role {grant.role!r}", f"expected one of {', '.join(ROLES)}")
    for what, name in (("tenant", grant.tenant), ("context", grant.context)):
        if name and not _WORD.fullmatch(name):
            raise _usage(f"{name!r} is no name of a {what}")


def _facts(grant: Grant) -> dict[str, Any]:
    return {"role": grant.role, "tenant": grant.tenant, "in_context": grant.context}


async def _insert_grant(connection: AsyncConnection, by: Who, name: str, grant: Grant) -> None:
    await connection.execute(
        sa.insert(schema.grants).values(
            operator=name,
            role=grant.role,
            tenant=grant.tenant,
            context=grant.context,
            granted_at=clock.now(),
            granted_by=by.name,
        )
    )


async def _set(connection: AsyncConnection, name: str, **values: Any) -> None:
    table = schema.operators
    await connection.execute(sa.update(table).where(table.c.name == name).values(**values))


async def _keep_an_admin(connection: AsyncConnection, name: str) -> None:
    if not any(operator.is_admin for operator in await _load(connection)):
        raise _usage(
            f"{name} is the last admin, and without one nobody could change operators",
            "make another first: mailtui operator grant NAME --role admin",
        )


async def _need(connection: AsyncConnection, name: str) -> Operator:
    operator = await _find(connection, name)
    if operator is None:
        raise _usage(f"there is no operator {name!r}", "mailtui operator list shows them")
    return operator


async def _find(connection: AsyncConnection, name: str) -> Operator | None:
    return next(iter(await _load(connection, name)), None)


async def _load(connection: AsyncConnection, name: str | None = None) -> list[Operator]:
    operators, grants, factors = schema.operators, schema.grants, schema.factors
    which = sa.select(operators, factors.c.operator.is_not(None).label("enrolled")).join_from(
        operators, factors, factors.c.operator == operators.c.name, isouter=True
    )
    theirs = sa.select(grants).order_by(grants.c.id)
    if name is not None:
        which = which.where(operators.c.name == name)
        theirs = theirs.where(grants.c.operator == name)
    found: dict[str, list[Grant]] = {}
    for row in await connection.execute(theirs):
        found.setdefault(row.operator, []).append(Grant(row.role, row.tenant, row.context))
    return [
        Operator(
            name=row.name,
            grants=tuple(found.get(row.name, ())),
            enrolled=bool(row.enrolled),
            disabled=row.disabled,
            created_at=row.created_at,
            last_seen=row.last_seen,
        )
        for row in await connection.execute(which.order_by(operators.c.name))
    ]
