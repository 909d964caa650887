"""`mailtui config check|show|example|path`."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from mailtui.headless import exits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailtui.config.settings import Settings

ACTIONS = {
    "check": "print every problem with its line",
    "show": "print what is in force, defaults included, and the queries to Prometheus",
    "example": "print a commented example",
    "path": "print where the configuration is looked for",
}


def add(verbs: Any, options: argparse.ArgumentParser) -> None:
    """The parser of this verb."""
    verb = verbs.add_parser(
        "config",
        parents=[options],
        help="check, show or begin a configuration",
        description="; ".join(f"{name}: {words}" for name, words in ACTIONS.items()) + ".",
    )
    verb.add_argument("action", metavar="ACTION", choices=ACTIONS, help=", ".join(ACTIONS))


def run(args: argparse.Namespace) -> int:
    """Do it."""
    from mailtui.headless import text

    text.prepare(sys.stdout, exact=True)
    if args.action == "example":
        from mailtui.config.example import text as example

        sys.stdout.write(example())
        return exits.OK
    if args.action == "path":
        from mailtui.config.paths import default_path

        print(getattr(args, "config", None) or default_path())
        return exits.OK
    if getattr(args, "demo", False) or getattr(args, "this_host", False):
        return _shown_live(args)
    path = _path(args)
    return _check(path) if args.action == "check" else _show(path)


def _path(args: argparse.Namespace) -> Path:
    from mailtui.headless.source import config_path, no_configuration

    path = config_path(args)
    if path is None:
        raise no_configuration(f"config {args.action}")
    return path


def _check(path: Path) -> int:
    from mailtui.config import load
    from mailtui.config.problems import ConfigError
    from mailtui.connections.clean import clean_lines

    try:
        text = load.read(path)
        settings = load.parse(text, path)
    except ConfigError as error:
        for problem in error.problems:
            print(clean_lines(str(problem)), file=sys.stderr)
        count = len(error.problems)
        print(f"{count} {'problem' if count == 1 else 'problems'}", file=sys.stderr)
        return exits.CONFIG
    for warning in load.warnings(settings, text, path):
        print(f"warning: {clean_lines(str(warning))}", file=sys.stderr)
    for line in summary(settings):
        print(line)
    return exits.OK


def summary(settings: Settings) -> Iterator[str]:
    """That it is ok, and what it describes."""
    from mailtui.config.settings import SOURCES

    count = len(settings.contexts)
    yield f"ok: {count} {'context' if count == 1 else 'contexts'}"
    first, _ = settings.choose()
    for name, context in settings.contexts.items():
        sources = [s for s, model in SOURCES.items() if context.source(s, model) is not None]
        hosts = len(context.hosts)
        opens = " (opens first)" if name == first else ""
        yield (
            f"  {name}{opens}: {hosts} {'host' if hosts == 1 else 'hosts'};"
            f" {', '.join(sources) or 'no source'};"
            f" {'read-only' if context.read_only else 'may act'}"
        )


def _show(path: Path) -> int:
    from mailtui.config import load

    settings = load.load(path)
    sys.stdout.writelines(f"{line}\n" for line in shown(settings, str(path)))
    return exits.OK


def _shown_live(args: argparse.Namespace) -> int:
    from mailtui.headless import session

    async def show() -> int:
        async with session.loaded(args, f"config {args.action}") as (loading, settings):
            lines = shown(settings, loading.title) if args.action == "show" else summary(settings)
            sys.stdout.writelines(f"{line}\n" for line in lines)
        return exits.OK

    return session.run(show())


def shown(settings: Settings, title: str) -> Iterator[str]:
    """Everything that is in force, as YAML that is itself a configuration.

    Secrets are where they come from, never themselves. The queries to Prometheus, as they are
    sent, are in comments at the end.
    """
    import yaml

    from mailtui.config.queries import QUERIES
    from mailtui.config.settings import SOURCES
    from mailtui.connections.clean import clean_lines

    tree = settings.model_dump(mode="json", exclude_none=True)
    for name, context in settings.contexts.items():
        inner = tree["contexts"][name].setdefault("sources", {})
        for source, model in SOURCES.items():
            if source not in inner and (found := context.source(source, model)) is not None:
                inner[source] = found.model_dump(mode="json", exclude_none=True)
    yield f"# in force: {clean_lines(title)}"
    yield clean_lines(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True, width=100)).rstrip()
    yield ""
    yield "# queries to Prometheus; `sources.prometheus.queries` replaces them by name:"
    for name, context in settings.contexts.items():
        for query, promql in _queries(context):
            known = QUERIES[query]
            yield f"# {name}: {query}: {known.meaning} ({known.kind}, {known.unit or 'number'})"
            yield f"#   {clean_lines(promql)}"


def _queries(context: Any) -> Iterator[tuple[str, str]]:
    from mailtui.collectors.prometheus_queries import texts
    from mailtui.config.sources.prometheus import Settings as Prometheus

    settings = context.source("prometheus", Prometheus) or Prometheus(url="http://localhost:9090")
    yield from texts(settings).items()
