"""Which platform a verb works on: the demo, this host, or a configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from mailtui import loading
from mailtui.config.paths import default_path
from mailtui.loading import Loading, from_file, this_host


def chosen(args: argparse.Namespace) -> Loading | None:
    """What the options ask for; None if there is no configuration and none was asked for."""
    context = getattr(args, "context", None)
    if getattr(args, "demo", False):
        return demo(args)
    if getattr(args, "this_host", False):
        return this_host()
    named: Path | None = getattr(args, "config", None)
    if named is not None:
        return from_file(named, context)
    path = default_path()
    return from_file(path, context) if path.is_file() else None


def demo(args: argparse.Namespace) -> Loading:
    """The sandbox, as the options ask for it."""
    return loading.demo(
        getattr(args, "scenario", None), getattr(args, "seed", None), getattr(args, "hosts", 0)
    )
