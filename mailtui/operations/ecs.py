"""Journal records as documents of the audit index, in fields of the Elastic Common Schema 8.

https://www.elastic.co/guide/en/ecs/current/ecs-event.html has the values of event.kind, category,
type and outcome. What ECS has no field for is below `mailtui.`; `event.original` is the record's
line, so that the copy can be checked by its own hash.
"""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import msgspec

from mailtui.access.journal import Record

OUTCOMES = {
    "done": "success", "partly": "failure", "failed": "failure", "unknown": "unknown",
}  # fmt: skip
TYPES = {
    "intent": ["start"], "step": ["change"], "step-end": ["change"], "outcome": ["change", "end"],
    "plan": ["info"], "request": ["info"], "approval": ["allowed"], "refused": ["denied"],
    "operator": ["user", "change"], "recovered": ["info"],
}  # fmt: skip
CATEGORIES = {"postfix": ["email", "configuration"], "operator": ["iam", "configuration"]}
"""By the source of the operation; else configuration alone."""
PLAIN = (
    "run", "operation", "context", "title", "selection", "danger", "step", "place", "does",
    "count", "planned", "done", "state", "digest", "undoes", "request", "approved_by", "verdict",
)  # fmt: skip
"""Facts with one type in every record: they become fields."""


def journal_id(machine: str, path: Path) -> str:
    """What tells this machine's journal from others in the same index; hexadecimal."""
    return hashlib.sha256(f"{machine}\0{path.absolute()}".encode()).hexdigest()[:32]


def document(record: Record, machine: str, journal: str) -> dict[str, Any]:
    """The document of one record."""
    facts = record.facts
    operation = str(facts.get("operation") or record.kind)
    source = operation.partition(".")[0]
    login = str(facts.get("login") or "")
    found: dict[str, Any] = {
        "@timestamp": iso(record.at),
        "ecs": {"version": "8.11.0"},
        "event": {
            "kind": "event",
            "category": CATEGORIES.get(source, ["configuration"]),
            "type": _type(record),
            "action": operation,
            "outcome": _outcome(record),
            "id": record.hash,
            "sequence": record.seq,
            "provider": "mailtui",
            "dataset": "mailtui.journal",
            "original": line(record),
        },
        "service": {"name": "mailtui", "type": "mailtui"},
        "host": {"name": machine},
        "user": {"name": login or record.who, "effective": {"name": record.who}},
        "message": message(record),
        "mailtui": {
            "journal": journal,
            "seq": record.seq,
            "prev": record.prev,
            "kind": record.kind,
            **{name: facts[name] for name in PLAIN if facts.get(name) not in (None, "")},
        },
    }
    if context := facts.get("context"):
        found["labels"] = {"context": str(context)}
    if why := facts.get("why") or facts.get("sentence"):
        found["event"]["reason"] = str(why)
    if process := facts.get("process"):
        found["process"] = {"pid": process}
    return found


def bare(record: Record, machine: str, journal: str) -> dict[str, Any]:
    """The least of it, for an index whose mapping refuses the whole."""
    whole = document(record, machine, journal)
    event = {k: whole["event"][k] for k in ("kind", "action", "outcome", "id", "original")}
    return {
        "@timestamp": whole["@timestamp"],
        "event": event,
        "message": whole["message"],
        "mailtui": {"journal": journal, "seq": record.seq, "kind": record.kind},
    }


def line(record: Record) -> str:
    """The record as the journal's file has it."""
    return msgspec.json.encode(record).decode()


def message(record: Record) -> str:
    """The record as a sentence."""
    facts = record.facts
    words = facts.get("sentence") or facts.get("why") or facts.get("title") or facts.get("does")
    named = facts.get("operation") or ""
    place = f" at {facts['place']}" if facts.get("place") else ""
    parts = (record.kind, str(named) + place, str(words or facts.get("text") or ""))
    return f"{record.who}: " + ": ".join(part for part in parts if part)


def iso(at: float) -> str:
    """Epoch seconds as ISO 8601 in UTC with milliseconds."""
    when = datetime.datetime.fromtimestamp(at, datetime.UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _type(record: Record) -> list[str]:
    if record.facts.get("verdict") == "declined":
        return ["denied"]
    return TYPES.get(record.kind, ["info"])


def _outcome(record: Record) -> str:
    if record.kind == "outcome":
        return OUTCOMES.get(str(record.facts.get("state")), "unknown")
    if record.kind in ("refused", "cut") or record.facts.get("verdict") == "declined":
        return "failure"
    # an intent and a begun step say what will be tried, not how it went
    return "unknown" if record.kind in ("intent", "step") else "success"
