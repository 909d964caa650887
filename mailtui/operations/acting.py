"""Opens the gate of a platform for the one who runs the program."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mailtui.access.armed import Armed
from mailtui.access.errors import AccessError
from mailtui.access.evidence import Evidence
from mailtui.access.journal import Journal
from mailtui.access.whoami import Who, whoami
from mailtui.operations.base import Refused
from mailtui.operations.gate import Gate

if TYPE_CHECKING:
    from mailtui.access.database import Database
    from mailtui.access.roles import Operator
    from mailtui.collectors.platform import Platform
    from mailtui.config.access import Access
    from mailtui.config.settings import Settings

REMEMBERED = 15 * 60.0
"""Seconds for which an operator may go on acting while the operators' database does not answer:
what is to be repaired may be that database."""


class Someone:
    """The system user that runs the program, as the operators' database knows him."""

    def __init__(self, who: Who, access: Access, *, simulation: bool) -> None:
        self.who = who
        self.operator: Operator | None = None
        self.evidence: Evidence | None = None
        self.simulation = simulation
        self.time_armed = Armed(access.armed_for)
        self._access = access
        self._any = False
        """True if there are operators at all."""
        self._read_at = float("-inf")

    def __repr__(self) -> str:
        return f"Someone({self.who.name!r})"

    @property
    def name(self) -> str:
        """The system user."""
        return self.who.name

    @property
    def machine(self) -> str:
        """This machine."""
        return self.who.machine

    @property
    def login(self) -> str:
        """Who logged in, if it was another."""
        return self.who.login

    def role(self, context: str) -> str:
        """His grants here, in words; empty if he may do nothing."""
        if self.operator is not None:
            return self.operator.words(context)
        return "admin of the demo" if self._is_demo else ""

    @property
    def _is_demo(self) -> bool:
        """In a simulation without operators everybody may do everything."""
        return self.simulation and not self._any

    def may(self, permission: str, context: str) -> str:
        """See Person.may."""
        if self.operator is not None:
            decision = self.operator.may(permission, context)
            return "" if decision else decision.why
        if self._is_demo:
            return ""
        if not self._any:
            return (
                "there are no operators yet; the first is made here by: "
                f"mailtui operator add {self.name} --role admin"
            )
        return (
            f"{self.name} is no operator; an admin adds: mailtui operator add {self.name} --role …"
        )

    def tenants(self, permission: str, context: str) -> frozenset[str] | None:
        """See Person.tenants."""
        if self.operator is None:
            return None if self._is_demo else frozenset()
        return self.operator.tenant_scope(permission, context)

    @property
    def needs_code(self) -> bool:
        """See Person.needs_code."""
        return self._access.second_factor and not self._is_demo

    @property
    def enrolled(self) -> bool:
        """See Person.enrolled."""
        return self.operator is not None and self.operator.enrolled

    @property
    def armed(self) -> bool:
        """See Person.armed."""
        return bool(self.time_armed)

    @property
    def armed_left(self) -> float:
        """See Person.armed_left."""
        return self.time_armed.remaining()

    async def check(self, code: str) -> str:
        """See Person.check."""
        from mailtui.access.second_factor import SecondFactor

        try:
            async with _database(self._access) as database:
                verdict = await SecondFactor(database, self._access).check(self.name, code)
        except AccessError as error:
            return str(error)
        if verdict:
            self.time_armed.arm()
            return ""
        return verdict.words

    async def refresh(self) -> None:
        """Read the operator anew: who was disabled stops at once. Raises Refused."""
        from mailtui.access.operators import Operators

        if not await asyncio.to_thread(_exists, self._access):
            self.operator, self._any = None, False
            return
        try:
            async with _database(self._access) as database:
                operators = Operators(database)
                known = await operators.get(self.name)
                if known is not None and not known.disabled:
                    await operators.seen(self.name)
                self._any = known is not None or bool(await operators.all())
        except AccessError as error:
            if time.monotonic() - self._read_at < REMEMBERED:
                return
            raise Refused(f"who may act cannot be read: {error}") from None
        if known is None or known != self.operator:
            self.time_armed.disarm()
        self.operator, self._read_at = known, time.monotonic()

    async def open_evidence(self, settings: Settings) -> None:
        """Open the store of evidence; what cannot be opened is said when it is needed."""
        from mailtui.access.key import load_key
        from mailtui.access.second_factor import SecondFactor

        kept = settings.evidence
        folder = await asyncio.to_thread(kept.folder)
        if await asyncio.to_thread(lambda: any(folder.glob("*.evidence"))):
            key = await asyncio.to_thread(load_key, self._access, create=False)
        elif await asyncio.to_thread(_exists, self._access):
            async with _database(self._access) as database:
                key = await SecondFactor(database, self._access).key()
        else:
            key = await asyncio.to_thread(load_key, self._access)
        self.evidence = Evidence(folder, key.derive("evidence"), keep=kept.keep, limit=kept.limit)


async def open_gate(platform: Platform, settings: Settings) -> Gate:
    """The gate of a platform. Raises Refused, JournalError, OSError: nothing can be done then.

    In a read-only context nothing is written for it: no database, no key, no journal.
    """
    context = platform.context
    # on a thread: SQLAlchemy takes a while to import
    await asyncio.to_thread(importlib.import_module, "mailtui.access.operators")
    someone = Someone(whoami(), settings.access, simulation=context.simulation)
    await someone.refresh()
    journal = Journal(await asyncio.to_thread(settings.journal.file))
    if not context.read_only:
        try:
            await someone.open_evidence(settings)
        except AccessError as error:
            raise Refused(str(error)) from None
        assert someone.evidence is not None
        for gone in await asyncio.to_thread(someone.evidence.expire):
            text = f"the evidence of run {gone.run} expired and was removed ({gone.size:,} bytes)"
            await asyncio.to_thread(journal.append, "evidence", someone.name, text=text)
    return Gate(platform, someone, journal)


def _exists(access: Access) -> bool:
    """True if there is a database of operators; a SQLite file is not made by looking."""
    path = access.file()
    return path is None or path.exists()


@asynccontextmanager
async def _database(access: Access) -> AsyncIterator[Database]:
    from mailtui.access.database import Database

    database = await Database.open(access)
    try:
        yield database
    finally:
        await database.close()
