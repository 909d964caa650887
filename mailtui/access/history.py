"""The journal, folded: each run with its steps and its end, each request with its approval."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from mailtui.access.journal import Journal, Record
from mailtui.access.locks import Locks
from mailtui.model import clock

EntryState = Literal[
    "done", "partly", "failed", "unknown", "running", "interrupted",
    "planned", "waiting", "approved", "declined", "expired", "refused", "noted",
]  # fmt: skip


class StepTrace(msgspec.Struct, frozen=True):
    """One begun part of a run; without an end it may have run, wholly or in part."""

    place: str
    does: str
    count: int
    at: float
    ended_at: float | None = None
    facts: dict[str, Any] = {}


class Entry(msgspec.Struct, frozen=True):
    """One run, request, dry run, refusal or change of operators."""

    id: str
    """Of a run: its number in hexadecimal; else the record's number, `#12`."""
    seq: int
    at: float
    """Epoch seconds."""
    who: str
    kind: str
    """intent, request, plan, refused, operator, recovered, evidence…"""
    state: EntryState
    operation: str = ""
    context: str = ""
    title: str = ""
    selection: str = ""
    digest: str = ""
    """Of the frozen plan."""
    count: int = 0
    done: int | None = None
    """Targets changed, as read back; None: not known."""
    sentence: str = ""
    """How it ended, in words."""
    steps: tuple[StepTrace, ...] = ()
    undo: str = ""
    """Operation that takes it back; empty: none."""
    undoes: str = ""
    """The run that this took back."""
    undone_by: str = ""
    outcome_digest: str = ""
    approved_by: str = ""
    approvals: tuple[str, ...] = ()
    expires: float | None = None
    """Until when a request can be approved, or an approval used."""
    ended_at: float | None = None
    facts: dict[str, Any] = {}

    @property
    def can_undo(self) -> bool:
        """True if it changed something that has an inverse, and was not taken back yet."""
        return bool(self.undo) and not self.undone_by and self.state in ("done", "partly")


class _Draft:
    """An entry while its records are read."""

    def __init__(self, record: Record, **known: Any) -> None:
        self.values: dict[str, Any] = {
            "seq": record.seq, "at": record.at, "who": record.who, "kind": record.kind,
            "facts": record.facts, **known,
        }  # fmt: skip
        self.steps: dict[str, list[StepTrace]] = {}

    def entry(self) -> Entry:
        steps = tuple(trace for traces in self.steps.values() for trace in traces)
        return Entry(steps=tuple(sorted(steps, key=lambda s: s.at)), **self.values)


def fold(records: Iterable[Record], now: float, running: Iterable[str] = ()) -> list[Entry]:
    """Entries, newest first. `running`: runs whose process lives."""
    alive = set(running)
    drafts: dict[str, _Draft] = {}
    for record in records:
        reader = _READERS.get(record.kind, _noted)
        reader(drafts, record)
    found = []
    for key, draft in drafts.items():
        values = draft.values
        if values["state"] == "running" and key not in alive:
            values["state"] = "interrupted"
            values["sentence"] = _interrupted(draft)
        if values["state"] in ("waiting", "approved") and (values.get("expires") or 0) < now:
            values["state"] = "expired"
        found.append(draft.entry())
    return sorted(found, key=lambda entry: -entry.seq)


def read(journal: Journal, locks: Locks) -> list[Entry]:
    """The journal's entries, newest first; blocking. Raises JournalError."""
    records: list[Record] = []
    open_ = _follow(journal, records, 0, set())
    dead = {run for run in open_[1] if not locks.is_held(f"run {run}")}
    if dead:
        # one that ended meanwhile has given back its lock after its outcome: that is there now
        open_ = _follow(journal, records, *open_)
    return fold(records, clock.now(), open_[1] - dead)


def _follow(
    journal: Journal, records: list[Record], offset: int, runs: set[str]
) -> tuple[int, set[str]]:
    """Add the records from an offset on; (offset after them, runs without an outcome)."""
    open_ = set(runs)
    for after, record in journal.records(offset):
        offset = after
        records.append(record)
        if record.kind == "intent":
            open_.add(str(record.facts.get("run")))
        elif record.kind == "outcome":
            open_.discard(str(record.facts.get("run")))
    return offset, open_


def _interrupted(draft: _Draft) -> str:
    traces = [trace for traces in draft.steps.values() for trace in traces]
    ended = sum(trace.ended_at is not None for trace in traces)
    open_ = [trace for trace in traces if trace.ended_at is None]
    if not traces:
        return "it ended before its first step: nothing ran"
    words = f"it ended in the middle: {ended} of {len(traces)} begun steps ended"
    if open_:
        words += f"; not known whether this ran: {open_[-1].place}: {open_[-1].does}"
    return words


def _plan_facts(record: Record) -> dict[str, Any]:
    facts = record.facts
    return {
        name: facts.get(name, "")
        for name in ("operation", "context", "title", "selection", "digest")
    } | {"count": int(facts.get("count", 0))}


def _intent(drafts: dict[str, _Draft], record: Record) -> None:
    run = str(record.facts.get("run", ""))
    undoes = str(record.facts.get("undoes", ""))
    drafts[run] = _Draft(
        record, id=run, state="running", undoes=undoes,
        approved_by=str(record.facts.get("approved_by", "")), **_plan_facts(record),
    )  # fmt: skip
    for asked in (record.facts.get("request"), record.facts.get("planned")):
        if asked and (draft := drafts.get(f"#{asked}")) is not None:
            draft.values.update(state="done", sentence=f"run as {run}")


def _step(drafts: dict[str, _Draft], record: Record) -> None:
    if (draft := drafts.get(str(record.facts.get("run")))) is None:
        return
    facts = record.facts
    known = {"run", "operation", "step", "place", "does", "count"}
    trace = StepTrace(
        str(facts.get("place", "")), str(facts.get("does", "")), int(facts.get("count", 0)),
        record.at, facts={k: v for k, v in facts.items() if k not in known},
    )  # fmt: skip
    draft.steps.setdefault(str(facts.get("step")), []).append(trace)


def _step_end(drafts: dict[str, _Draft], record: Record) -> None:
    draft = drafts.get(str(record.facts.get("run")))
    traces = draft.steps.get(str(record.facts.get("step"))) if draft is not None else None
    if not traces:
        return
    known = {"run", "operation", "step", "place"}
    facts = {k: v for k, v in record.facts.items() if k not in known}
    # the next batch may have begun; the end of one is the end of those before it
    batch = facts.get("batch")
    last = len(traces) - 1
    if isinstance(batch, int):
        numbers = [one.facts.get("batch") for one in traces]
        last = numbers.index(batch) if batch in numbers else last
        for at, one in enumerate(traces[:last]):
            if one.ended_at is None:
                traces[at] = msgspec.structs.replace(one, ended_at=record.at)
    traces[last] = msgspec.structs.replace(
        traces[last], ended_at=record.at, facts={**traces[last].facts, **facts}
    )


def _outcome(drafts: dict[str, _Draft], record: Record) -> None:
    if (draft := drafts.get(str(record.facts.get("run")))) is None:
        return
    facts = record.facts
    undo = facts.get("undo") or {}
    done = facts.get("done")
    if facts.get("state") == "unknown" and not done:
        done = None  # not known is not 0
    draft.values.update(
        state=facts.get("state", "unknown"), sentence=str(facts.get("sentence", "")),
        done=done, undo=str(undo.get("operation", "")),
        outcome_digest=str(facts.get("digest", "")), ended_at=record.at,
    )  # fmt: skip
    undoes = draft.values.get("undoes")
    if undoes and draft.values["state"] in ("done", "partly") and undoes in drafts:
        drafts[undoes].values["undone_by"] = draft.values["id"]


def _request(drafts: dict[str, _Draft], record: Record) -> None:
    drafts[f"#{record.seq}"] = _Draft(
        record, id=f"#{record.seq}", state="waiting", expires=record.facts.get("expires"),
        **_plan_facts(record),
    )  # fmt: skip


def _approval(drafts: dict[str, _Draft], record: Record) -> None:
    draft = drafts.get(f"#{record.facts.get('request')}")
    if draft is None or draft.values["state"] != "waiting":
        return
    given = record.facts.get("verdict") == "approved"
    draft.values.update(
        state="approved" if given else "declined", approved_by=record.who,
        sentence=f"{'approved' if given else 'declined'} by {record.who}"
        + (f": {record.facts['why']}" if record.facts.get("why") else ""),
        expires=record.facts.get("expires", draft.values.get("expires")),
    )  # fmt: skip


def _planned(drafts: dict[str, _Draft], record: Record) -> None:
    drafts[f"#{record.seq}"] = _Draft(
        record, id=f"#{record.seq}", state="planned", sentence="dry run: nothing was changed",
        **_plan_facts(record),
    )  # fmt: skip


def _refused(drafts: dict[str, _Draft], record: Record) -> None:
    drafts[f"#{record.seq}"] = _Draft(
        record, id=f"#{record.seq}", state="refused", sentence=str(record.facts.get("why", "")),
        **_plan_facts(record),
    )  # fmt: skip


def _noted(drafts: dict[str, _Draft], record: Record) -> None:
    words = record.facts.get("text") or ", ".join(f"{k} {v}" for k, v in record.facts.items())
    drafts[f"#{record.seq}"] = _Draft(
        record, id=f"#{record.seq}", state="noted", title=record.kind, sentence=str(words)
    )


_READERS = {
    "intent": _intent, "step": _step, "step-end": _step_end, "outcome": _outcome,
    "request": _request, "approval": _approval, "plan": _planned, "refused": _refused,
}  # fmt: skip
