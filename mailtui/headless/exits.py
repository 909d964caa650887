"""Exit codes, documented and stable."""

OK = 0
WARNING = 1
CRITICAL = 2
UNKNOWN = 3
"""`status`: those of the monitoring plugins' convention."""

USAGE = 64
"""The command line was wrong (sysexits.h, EX_USAGE)."""
CONFIG = 78
"""The configuration was wrong (EX_CONFIG)."""
UNAVAILABLE = 69
"""A source that the verb needs gave no answer (EX_UNAVAILABLE)."""
CANNOT_CREATE = 73
"""An output file could not be written (EX_CANTCREAT)."""
INTERRUPTED = 130
