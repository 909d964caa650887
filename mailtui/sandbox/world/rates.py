"""What the platform does, as rates over time; scenarios bend them."""

from __future__ import annotations

from dataclasses import dataclass, field

from mailtui.sandbox.world.clock import Course


@dataclass(slots=True)
class Rates:
    """Courses in events a second over the whole platform, unless a host is named."""

    arrivals: Course = field(default_factory=lambda: Course(6.9))
    """Messages accepted by the mx hosts."""
    rejected: Course = field(default_factory=lambda: Course(0.09))
    connects: Course = field(default_factory=lambda: Course(7.4))
    logins: Course = field(default_factory=lambda: Course(3.9))
    login_failures: Course = field(default_factory=lambda: Course(0.085))
    sasl_failures: dict[str, Course] = field(default_factory=dict)
    """By mx host."""
    scan_consumers: Course = field(default_factory=lambda: Course(6.0))
    """Consumers of the queue `scan`; each can do two messages a second."""
    dead_letters: Course = field(default_factory=lambda: Course(0.0006))
    dead_depth: Course = field(default_factory=lambda: Course(12.0))
    """Depth of the queue `dead` in the past."""
    scan_depth: Course = field(default_factory=lambda: Course(3.0))
    """Depth of the queue `scan` in the past."""
    index_depth: Course = field(default_factory=lambda: Course(40.0))
    """Depth of the queue `index` in the past."""
