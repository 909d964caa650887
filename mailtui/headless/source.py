"""Which platform a verb works on: the demo, this host, or a configuration."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from mailtui.headless import exits
from mailtui.headless.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from mailtui.loading import Loading

SCENARIOS = (
    "quiet",
    "destination-deferred",
    "store-disk-full",
    "brute-force",
    "dlq-growth",
    "search-red",
)
"""What the sandbox can play; here too, so that help needs no sandbox."""


def chosen(args: argparse.Namespace) -> Loading | None:
    """What the options ask for; None if there is no configuration and none was asked for.

    Raises Refused: options that do not go together, an unknown scenario.
    """
    from mailtui import loading

    asked = [
        option
        for option, present in (
            ("--demo", getattr(args, "demo", False)),
            ("--this-host", getattr(args, "this_host", False)),
            ("--config", getattr(args, "config", None) is not None),
        )
        if present
    ]
    if len(asked) > 1:
        raise Refused(f"{' and '.join(asked)} do not go together")
    if "--demo" in asked:
        return demo(args)
    if getattr(args, "scenario", None) is not None or getattr(args, "seed", None) is not None:
        raise Refused("--scenario and --seed belong to --demo")
    if "--this-host" in asked:
        return loading.this_host()
    path = config_path(args)
    return loading.from_file(path, getattr(args, "context", None)) if path is not None else None


def config_path(args: argparse.Namespace) -> Path | None:
    """The configuration file that the options or the environment name, or that is there."""
    from mailtui.config.paths import default_path

    named: Path | None = getattr(args, "config", None)
    if named is not None:
        return named
    path = default_path()
    # one that the environment names must exist: it is not passed over
    return path if os.environ.get("MAILTUI_CONFIG") or path.is_file() else None


def required(args: argparse.Namespace, verb: str) -> Loading:
    """What the options ask for. Raises Refused, which says how to get a platform."""
    loading = chosen(args)
    if loading is None:
        raise no_configuration(verb)
    return loading


def no_configuration(verb: str) -> Refused:
    """That there is none, and the ways to go on."""
    from mailtui.config.paths import default_path

    path = default_path()
    first = "" if path.parent.is_dir() else f"mkdir -p {path.parent} && "
    return Refused(
        f"there is no configuration at {path}\n"
        f"  a simulation:  mailtui --demo {verb}\n"
        f"  this machine:  mailtui --this-host {verb}\n"
        f"  your platform: {first}mailtui config example > {path}",
        exits.CONFIG,
    )


def demo(args: argparse.Namespace) -> Loading:
    """The sandbox, as the options ask for it. Raises Refused: an unknown scenario."""
    from mailtui import loading

    scenario = getattr(args, "scenario", None)
    if scenario is not None and scenario not in SCENARIOS:
        raise Refused(f"there is no scenario {scenario!r}; expected one of {', '.join(SCENARIOS)}")
    return loading.demo(scenario, getattr(args, "seed", None), getattr(args, "hosts", 0))
