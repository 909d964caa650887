"""Exit codes, documented and stable (docs/headless.md)."""

from __future__ import annotations

OK = 0
WARNING = 1
CRITICAL = 2
UNKNOWN = 3
"""`status`: those of the monitoring plugins' convention. `do`: done, partly, failed, unknown."""

USAGE = 64
"""The command line was wrong (sysexits.h, EX_USAGE)."""
UNAVAILABLE = 69
"""A source that the verb needs gave no answer, or a plan is blocked (EX_UNAVAILABLE)."""
SOFTWARE = 70
"""A defect of mailtui itself (EX_SOFTWARE)."""
CANNOT_CREATE = 73
"""An output file or the journal could not be written (EX_CANTCREAT)."""
TRY_LATER = 75
"""It waits for a second operator, or somebody else is at work there (EX_TEMPFAIL)."""
NO_PERMISSION = 77
"""The operator may not do this (EX_NOPERM)."""
CONFIG = 78
"""The configuration was wrong, or there is none (EX_CONFIG)."""
INTERRUPTED = 130
"""Ended by Ctrl-C (128 + SIGINT); 143 by SIGTERM."""
