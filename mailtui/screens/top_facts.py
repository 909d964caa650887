"""What the first line says of a screen, worked out from the application's state."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from mailtui.model import clock
from mailtui.model.freshness import summarise
from mailtui.widgets.topline import TopFacts

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.screens.base import ConsoleScreen


def top_facts(app: ConsoleApp, view: ConsoleScreen) -> TopFacts:
    """Where am I, may I act, who am I, how old is what I see, how bad is it."""
    platform, loading = app.platform, app.loading
    now = clock.now()
    if platform is None:
        return TopFacts(
            label=loading.title if loading is not None else "",
            simulation=bool(loading and loading.simulation),
            user=app.user_name,
            time=now,
        )
    context = platform.context
    fresh = summarise(platform.readings(view.wanted(platform)), now)
    counts = Counter(problem.severity for problem in app.problems)
    return TopFacts(
        label=context.label or platform.name,
        color=context.color,
        simulation=context.simulation,
        path=app.path,
        **acting_facts(app, context.read_only),
        user=app.user_name,
        time=now,
        known=any(r.status != "never" or r.fault for r in platform.state.all()),
        oldest=fresh.oldest,
        stale=fresh.is_stale,
        critical=counts["critical"],
        warning=counts["warning"],
        unknown=counts["unknown"],
    )


def acting_facts(app: ConsoleApp, read_only: bool) -> dict[str, Any]:
    """What one may do here, what runs, what waits."""
    if not app.acting_ready:
        return {"may": "read-only" if read_only else ""}
    acting = app.acting
    gate = acting.gate
    interrupted, waiting = acting.waiting
    facts: dict[str, Any] = {
        "runs": len(acting.jobs.running), "interrupted": interrupted, "waiting": waiting,
    }  # fmt: skip
    if read_only:
        facts["may"] = "read-only"
    elif gate is None:
        facts["may"] = "may not act"
    else:
        role = gate.person.role(gate.context)
        facts["may"] = f"may act as {role}" if role else "may not act"
        if gate.person.armed:
            facts["armed"] = gate.person.armed_left
    return facts
