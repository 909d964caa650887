"""Exit codes, documented and stable (docs/headless.md)."""

from __future__ import annotations

OK = 0
WARNING = 1
CRITICAL = 2
UNKNOWN = 3
"""`status`: those of the monitoring plugins' convention."""

USAGE = 64
"""The command line was wrong (sysexits.h, EX_USAGE)."""
UNAVAILABLE = 69
"""A source that the verb needs gave no answer (EX_UNAVAILABLE)."""
SOFTWARE = 70
"""A defect of mailtui itself (EX_SOFTWARE)."""
CANNOT_CREATE = 73
"""An output file could not be written (EX_CANTCREAT)."""
CONFIG = 78
"""The configuration was wrong, or there is none (EX_CONFIG)."""
INTERRUPTED = 130
"""Ended by Ctrl-C (128 + SIGINT); 143 by SIGTERM."""
