"""The outcome of a run on messages, as sentences and counts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mailtui.connections.errors import SourceError
from mailtui.model.mail import Message
from mailtui.model.operation import KEPT_LEFT, Left, Outcome, State, Target, Undo
from mailtui.operations.base import capped

if TYPE_CHECKING:
    from mailtui.operations.base import Desk
    from mailtui.operations.running import Run

Answers = dict[str, dict[str, Message] | SourceError]
"""Host → what was read back, or why that is not known."""


def told(run: Run) -> dict[str, set[str]]:
    """Host → IDs that it was told of."""
    places = {step.key: step.place for step in run.plan.steps}
    return {places[key]: {one.id for one in targets} for key, targets in run.sent.items()}


def confirmed(desk: Desk, place: str) -> set[str]:
    """IDs of which the host's daemon said in this run that it was done."""
    found: set[str] = desk.notes.get("postfix", {}).get(place, set())
    return found


class Tally:
    """What became of each target, while it is being found out."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.done: list[Target] = []
        self.left: list[Left] = list(run.left)
        self.unknown: list[Target] = []
        self.notes: list[str] = []

    def sent(self, answers: Answers) -> list[tuple[Target, Message | None]]:
        """Every target that a daemon was told of, with the message that has its ID now.

        Those of hosts that do not answer are unknown, and not among them.
        """
        found: list[tuple[Target, Message | None]] = []
        for key, targets in self.run.sent.items():
            place = next((s.place for s in self.run.plan.steps if s.key == key), key)
            answer = answers.get(place, {})
            if isinstance(answer, SourceError):
                self.unknown.extend(targets)
                self.notes.append(str(answer))
                continue
            found.extend((one, answer.get(one.id)) for one in targets)
        return found

    def leave(self, one: Target, why: str) -> None:
        """This target is not as it should be."""
        self.left.append(Left(one.place, one.id, why))

    def outcome(
        self,
        did: str,
        *,
        undo: Undo | None = None,
        counts: dict[str, int] | None = None,
    ) -> Outcome:
        """`did`: `held`. An undo of nothing is none."""
        planned, done = self.run.plan.count, len(self.done)
        state: State = "partly"
        if self.unknown:
            state = "unknown"
        elif done == planned:
            state = "done"
        elif not done:
            state = "failed"
        every = [*self.left, *(Left(t.place, t.id, "not known") for t in self.unknown)]
        left, more = capped(every, KEPT_LEFT)
        given_back = self.run.counts.get("given back", 0)
        if given_back:
            self.notes.append(
                f"{given_back:,} queue IDs were other messages' by then, and put back as they were"
            )
        return Outcome(
            state,
            self._sentence(did, planned, done),
            planned=planned,
            done=done,
            left=left,
            left_more=more,
            counts=counts or {},
            notes=tuple(dict.fromkeys(self.notes)),
            undo=undo if undo is not None and undo.targets else None,
        )

    def _sentence(self, did: str, planned: int, done: int) -> str:
        if done == planned:
            return f"{did} {done:,} message{'' if done == 1 else 's'}"
        whys = Counter(left.why for left in self.left)
        parts = [f"{count:,} {_be(count, why)}" for why, count in whys.most_common(4)]
        if len(whys) > 4:
            parts.append(f"{sum(c for _, c in whys.most_common()[4:]):,} for other reasons")
        if self.unknown:
            hosts = ", ".join(sorted({one.place for one in self.unknown}))
            parts.append(f"{len(self.unknown):,} at {hosts} not known")
        return f"{did} {done:,} of {planned:,}: {', '.join(parts)}"


def _be(count: int, why: str) -> str:
    """`3 were delivered or removed meanwhile`, `1 is in the deferred queue`."""
    if why.startswith("delivered"):
        return f"{'was' if count == 1 else 'were'} {why}"
    if why.startswith(("still", "in ", "on ", "another")):
        return f"{'is' if count == 1 else 'are'} {why}"
    return f"left ({why})"
