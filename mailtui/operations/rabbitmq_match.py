"""Which of the messages that were taken are those that were chosen: AMQP has no number for one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mailtui.model.letters import Letter
from mailtui.model.operation import Target
from mailtui.operations.rabbitmq_letters import of_message

if TYPE_CHECKING:
    from mailtui.connections.amqp import Message

GONE = "it is not there any more"


def target_of(letter: Letter) -> Target:
    """A letter as a target: where it was and, if all of it is known, its digest are the mark."""
    mark = f"{letter.position} {letter.digest}".strip()
    return Target(f"{letter.vhost}\t{letter.queue}", letter.fingerprint, mark)


def told_apart(letter: Letter) -> bool:
    """False if what is known of it could be another message's as well."""
    ids = {"message_id", "correlation_id", "timestamp"} & {name for name, _ in letter.properties}
    return bool(letter.digest or ids or letter.died_at is not None or not letter.cut)


def position_of(target: Target) -> int:
    """Where it was, from the head."""
    return int(target.mark.partition(" ")[0] or 1)


def matched(
    messages: Sequence[Message], targets: Sequence[Target], vhost: str, name: str
) -> tuple[dict[Message, Target], list[tuple[Target, str]]]:
    """(message → the target that it is, targets that none is and why).

    Where the whole body was known, all of it must be the same. Of several that match, some are
    chosen only if they are the same to the last byte.
    """
    alike: dict[str, list[tuple[str, Message]]] = defaultdict(list)
    for position, message in enumerate(messages, 1):
        letter = of_message(message, vhost, name, position, None)
        alike[letter.fingerprint].append((letter.digest, message))
    wanted: dict[tuple[str, str], list[Target]] = defaultdict(list)
    for target in targets:
        wanted[target.id, target.mark.partition(" ")[2]].append(target)
    chosen: dict[Message, Target] = {}
    left: list[tuple[Target, str]] = []
    for (mark, digest), those in wanted.items():
        same_look = [one for one in alike.get(mark, []) if one[1] not in chosen]
        found = [one for one in same_look if not digest or one[0] == digest]
        if len(found) > len(those) and len({one[0] for one in found}) > 1:
            why = f"{len(found):,} messages look the same and are not: none is touched"
            left += [(one, why) for one in those]
            continue
        chosen.update(zip((message for _, message in found), those, strict=False))
        why = "another message looks like it" if same_look and not found else GONE
        left += [(one, why) for one in those[len(found) :]]
    return chosen, left
