"""`mailtui do` alone: every operation, and why this operator cannot do it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from mailtui.operations.base import Operation


async def listed(args: argparse.Namespace) -> int:
    """Print the list."""
    from mailtui.headless import gated
    from mailtui.operations import registry

    async with gated.opened(args, "do") as acting:
        found = [(o, acting.gate.why_not(o)) for o in registry.every() if not o.hidden]
        if args.output == "json":
            answer = {
                "context": acting.gate.context,
                "simulation": acting.context.simulation,
                "operator": acting.gate.person.name,
                "operations": [as_object(operation, why) for operation, why in found],
            }
            json.dump(answer, sys.stdout, ensure_ascii=False, indent=1)
            print()
            return exits.OK
        for line in as_lines(found):
            print(line)
        print(f"{acting.label}: as {acting.gate.person.name}", file=sys.stderr)
    return exits.OK


def as_object(operation: Operation, why: str) -> dict[str, Any]:
    """The documented object of one operation."""
    return {
        "operation": operation.id,
        "title": operation.title,
        "key": operation.key or None,
        "resource": operation.resource,
        "scope": operation.scope,
        "danger": operation.danger,
        "permission": operation.permission,
        "inverse": operation.inverse or None,
        "parameters": [
            {
                "name": one.name,
                "required": one.required,
                "default": one.default or None,
                "choices": one.choices,
                "help": one.help,
            }
            for one in operation.parameters
        ],
        "why_not": why or None,
    }


def as_lines(found: list[tuple[Operation, str]]) -> list[str]:
    """What may be done first, then the rest with the reason."""
    able = [o for o, why in found if not why]
    width = max((len(o.id) for o, _ in found), default=0) + 2
    lines = [
        f"{o.id:<{width}}{o.danger:<13}{o.title}"
        + (f"  (--where filters {o.resource})" if o.scope != "platform" else "")
        for o in able
    ]
    if refused := [(o, why) for o, why in found if why]:
        lines += ["" if able else "nothing can be done here now:"]
        lines += [f"{o.id:<{width}}{o.danger:<13}not now: {why}" for o, why in refused]
    return lines
