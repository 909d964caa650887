"""One entry of the journal, for a reader and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from mailtui.headless import plan_text

if TYPE_CHECKING:
    from mailtui.access.history import Entry
    from mailtui.access.journal import Journal, Record
    from mailtui.access.plans import Plans
    from mailtui.model.operation import Outcome, Plan


def entry_object(entry: Entry) -> dict[str, Any]:
    """The documented object of an entry, without its plan."""
    return {
        "id": entry.id,
        "seq": entry.seq,
        "at": entry.at,
        "ended_at": entry.ended_at,
        "who": entry.who,
        "kind": entry.kind,
        "state": entry.state,
        "operation": entry.operation or None,
        "context": entry.context or None,
        "title": entry.title,
        "selection": entry.selection or None,
        "digest": entry.digest or None,
        "count": entry.count,
        "done": entry.done,
        "sentence": entry.sentence or None,
        "can_undo": entry.can_undo,
        "undo": entry.undo or None,
        "undoes": entry.undoes or None,
        "undone_by": entry.undone_by or None,
        "approved_by": entry.approved_by or None,
        "expires": entry.expires,
    }


class Shown:
    """An entry with its records, its frozen plan and its outcome. Blocking."""

    def __init__(self, entry: Entry, journal: Journal, plans: Plans) -> None:
        self.entry = entry
        self.records: list[Record] = [
            record
            for _, record in journal.records()
            if record.seq == entry.seq
            or record.facts.get("run") == entry.id
            or f"#{record.facts.get('request')}" == entry.id
        ]
        self.missing: list[str] = []
        """Files that are not there, or not what the journal names."""
        self.plan: Plan | None = self._kept(lambda: plans.plan(entry.digest), entry.digest)
        self.outcome: Outcome | None = self._kept(
            lambda: plans.outcome(entry.id, entry.outcome_digest), entry.outcome_digest
        )

    def _kept(self, get: Any, digest: str) -> Any:
        from mailtui.access.journal import JournalError

        try:
            return get() if digest else None
        except JournalError as error:
            self.missing.append(str(error))
            return None

    def as_object(self) -> dict[str, Any]:
        """The documented object."""
        plan, outcome = self.plan, self.outcome
        return {
            **entry_object(self.entry),
            "records": [
                {"seq": r.seq, "at": r.at, "kind": r.kind, "who": r.who, "facts": r.facts,
                 "hash": r.hash}
                for r in self.records
            ],
            "plan": plan_text.plan_object(plan) if plan is not None else None,
            "outcome": plan_text.outcome_object(outcome, self.entry.id)
            if outcome is not None
            else None,
            "missing": self.missing,
        }  # fmt: skip

    def lines(self) -> Iterator[str]:
        """Everything, in the order in which it happened."""
        from mailtui.model import format as fmt

        entry = self.entry
        first = self.records[0].facts if self.records else {}
        yield f"{entry.id}  {entry.state}  {entry.title}"
        where = f" on {entry.context}" if entry.context else ""
        login = f", logged in as {first['login']}" if first.get("login") else ""
        machine = f" at {first['machine']}" if first.get("machine") else ""
        yield f"  {entry.operation or entry.kind} by {entry.who}{login}{machine}{where}"
        ended = ""
        if entry.ended_at is not None:
            ended = f", ended after {fmt.age(max(0.0, entry.ended_at - entry.at))}"
        yield f"  {fmt.date_time(entry.at)}{ended}"
        if entry.sentence:
            yield f"  {entry.sentence}"
        for words, value in (
            ("approved by", entry.approved_by), ("takes back", entry.undoes),
            ("was taken back by", entry.undone_by), ("chosen by", entry.selection),
            ("plan", entry.digest),
        ):  # fmt: skip
            if value:
                yield f"  {words} {value}"
        yield ""
        for record in self.records:
            yield f"  {fmt.date_time(record.at)}  #{record.seq}  {record.kind}  {_facts(record)}"
        for words in self.missing:
            yield f"  MISSING  {words}"
        if self.plan is not None:
            yield ""
            yield "the frozen plan:"
            yield from (f"  {line}".rstrip() for line in plan_text.frozen_lines(self.plan))
        if self.outcome is not None:
            yield ""
            yield from plan_text.outcome_lines(self.outcome, self.entry.id)


SAID = {
    "run", "operation", "context", "title", "danger", "selection", "digest", "steps", "samples",
    "parameters", "blockers", "login", "machine", "left", "undo", "notes",
}  # fmt: skip
"""Facts that stand elsewhere in `show`."""


def _facts(record: Record) -> str:
    return "  ".join(
        f"{name}={value}"
        for name, value in record.facts.items()
        if name not in SAID and value not in ("", None, [], {})
    )
