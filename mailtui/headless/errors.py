"""What went wrong, as words on standard error and an exit code."""

from __future__ import annotations

import errno
import sys

from mailtui.headless import exits


class Refused(Exception):
    """A verb cannot do what was asked for; the message says why and what to do."""

    def __init__(self, message: str, code: int = exits.USAGE) -> None:
        self.code = code
        super().__init__(message)


def say(verb: str, message: str) -> None:
    """One message on standard error, with no control character in it."""
    from mailtui.connections.clean import clean_lines

    print(f"mailtui {verb}: {clean_lines(message)}", file=sys.stderr, flush=True)


def explain(verb: str, error: Exception) -> int:
    """Say what `error` means; its exit code. A defect leaves a crash report."""
    from mailtui.config.problems import ConfigError, UnknownContext
    from mailtui.demo_process import DemoFailed

    if isinstance(error, Refused):
        say(verb, str(error))
        return error.code
    if isinstance(error, UnknownContext):
        say(verb, str(error))
        return exits.USAGE
    if isinstance(error, DemoFailed):
        say(verb, str(error))
        return exits.UNAVAILABLE
    if isinstance(error, ConfigError):
        say(verb, "the configuration cannot be used:")
        for problem in error.problems:
            say(verb, str(problem))
        return exits.CONFIG
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        say(verb, f"cannot write: {error.strerror}")
        return exits.CANNOT_CREATE
    from mailtui.access.errors import AccessError

    if isinstance(error, AccessError):
        say(verb, str(error))
        codes = {"permission": exits.NO_PERMISSION, "usage": exits.USAGE}
        return codes.get(error.kind, exits.UNAVAILABLE)
    from mailtui.headless.gated import code_of

    if (code := code_of(error)) is not None:
        say(verb, str(error))
        return code
    from mailtui import crash

    path = crash.write(error)
    where = f"the report is in {path}" if path else crash.report(error)
    say(verb, f"mailtui broke: {type(error).__name__}; {where}")
    return exits.SOFTWARE
