"""What `mailtui operator` works with: the operators of a configuration, and their journal."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailtui.access.database import Database
    from mailtui.access.operators import Operators
    from mailtui.access.second_factor import SecondFactor
    from mailtui.access.whoami import Who
    from mailtui.config.access import Access
    from mailtui.config.acting import Journal


@dataclass
class Office:
    """What one run of the verb works with."""

    who: Who
    access: Access
    contexts: tuple[str, ...]
    database: Database
    operators: Operators
    factor: SecondFactor


def _journal(journal: Journal, who: Who) -> Callable[[str, Mapping[str, Any]], None]:
    """What writes to the journal; raises JournalError, and then nothing is changed."""
    from mailtui.access.journal import Journal as File

    file = File(journal.file())

    def record(kind: str, facts: Mapping[str, Any]) -> None:
        file.append(kind, who.name, **facts)

    return record


def _settings(args: argparse.Namespace) -> tuple[Access, Journal, tuple[str, ...]]:
    """(access, journal, names of contexts); the defaults without a configuration. Blocking."""
    from mailtui.config.access import Access
    from mailtui.config.acting import Journal
    from mailtui.headless.source import config_path

    path = None if getattr(args, "this_host", False) else config_path(args)
    if path is None:
        return Access(), Journal(), ()
    from mailtui.config import load

    settings = load.load(path)
    return settings.access, settings.journal, tuple(settings.contexts)


@asynccontextmanager
async def office_of(args: argparse.Namespace) -> AsyncIterator[Office | None]:
    """The operators' database; None if there is none yet and this action does not make it."""
    from mailtui.access.whoami import whoami
    from mailtui.headless import session

    access, journal, contexts = await session.on_thread(lambda: _settings(args))
    file = access.file()
    if args.action != "add" and file is not None and not file.exists():
        yield None
        return
    from mailtui.access.database import Database
    from mailtui.access.operators import Operators
    from mailtui.access.second_factor import SecondFactor

    who = whoami()
    database = await Database.open(access)
    try:
        operators = Operators(database, _journal(journal, who))
        yield Office(who, access, contexts, database, operators, SecondFactor(database, access))
    finally:
        await database.close()
