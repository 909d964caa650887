"""Which dry run may be run as it was frozen: one's own, here, young enough, and once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mailtui.model import clock
from mailtui.model import format as fmt
from mailtui.operations.base import Refused

if TYPE_CHECKING:
    from mailtui.access.history import Entry


class NotYours(Refused):
    """Somebody else made this dry run."""


class Stale(Refused):
    """The dry run is too old: what it saw may be no longer so."""


def find(entries: Iterable[Entry], number: int, *, who: str, context: str, longest: float) -> Entry:
    """The dry run with this number in the journal; `longest`: seconds. Raises Refused.

    A plan is as old as its first dry run: rehearsing a frozen plan again does not make it younger.
    It is run once, whichever of its dry runs is named.
    """
    known = list(entries)
    found = next((e for e in known if e.seq == number and e.kind == "plan"), None)
    if found is None:
        raise Refused(f"#{number} is no dry run: mailtui journal list shows them")
    if found.who != who:
        raise NotYours(f"dry run {found.id} is {found.who}'s: make one of your own")
    if found.context != context:
        raise Refused(f"dry run {found.id} is for {found.context}, and this is {context}")
    same = [e for e in known if e.digest == found.digest]
    for entry in same:
        if entry.kind == "intent" and entry.facts.get("planned"):
            raise Refused(f"dry run {found.id} was run already: {entry.id}")
    age = clock.now() - min(entry.at for entry in same)
    if age > longest:
        raise Stale(
            f"dry run {found.id} is {fmt.age(age)} old, and {fmt.age(longest)} is the most "
            "(operations.approval): make a new one"
        )
    return found
