"""`:postfix.hold [filter]`: a command for each operation, made from the registry."""

from __future__ import annotations

import importlib
import pkgutil
import shlex
from typing import TYPE_CHECKING, Any

import mailtui.resources
from mailtui.model.where import WhereError, compile_where
from mailtui.model.where_complete import complete_where, completed_span
from mailtui.resources.base import Resource, rows_of
from mailtui.screens.commands import Command
from mailtui.screens.selection import Selection, same_resource

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.operations.base import Operation


def of_operations(app: ConsoleApp) -> list[Command]:
    """One a visible operation, in the registry's order; none before they are known."""
    if not app.acting_ready:
        return []
    from mailtui.operations import registry

    return [_command(operation) for operation in registry.every() if not operation.hidden]


def _command(operation: Operation) -> Command:
    takes_rows = operation.scope != "platform"
    key = f" ({operation.key})" if operation.key else ""
    return Command(
        operation.id,
        f"{operation.id} [FILTER]" if takes_rows else f"{operation.id} [NAME=VALUE …]",
        f"{operation.title}{key}: {operation.danger}",
        lambda app, argument: _run(app, operation, argument),
        complete=(lambda app, text: _complete(app, operation, text)) if takes_rows else None,
    )


def _run(app: ConsoleApp, operation: Operation, argument: str) -> str:
    """On the rows that match; without a filter, on what is chosen on the screen."""
    if operation.scope == "platform":
        return _on_platform(app, operation, argument)
    if argument:
        selection = filtered(app, operation.resource, argument)
    else:
        view = app.view
        if view is None or not same_resource(view.acting_resource(), operation.resource):
            return f"{operation.id} needs a filter here: its rows are not on this screen"
        selection = view.selection()
    return app.acting.start(operation, selection)


def _on_platform(app: ConsoleApp, operation: Operation, argument: str) -> str:
    """With `name=value` for its parameters; rows that are chosen on the screen give defaults."""
    try:
        given = [word.partition("=") for word in shlex.split(argument)]
    except ValueError as error:
        return f"{operation.id}: {error}"
    known = [parameter.name for parameter in operation.parameters]
    for name, sign, _ in given:
        if not sign or name not in known:
            forms = " ".join(f"{one}=…" for one in known)
            return f"{operation.id} takes no filter and no {name!r}, only {forms}"
    view = app.view
    selection = Selection(operation.resource)
    if view is not None and same_resource(view.acting_resource(), operation.resource):
        chosen = view.selection()
        selection = selection if chosen.refusal else chosen
    return app.acting.start(operation, selection, {name: value for name, _, value in given})


def filtered(app: ConsoleApp, name: str, expression: str) -> Selection:
    """The rows of a resource that match, of all that were read."""
    found = _resource(name)
    platform = app.platform
    if found is None or platform is None:
        return Selection(name, refusal=f"the rows of {name} cannot be chosen by a filter")
    resource, module = found
    try:
        where = compile_where(expression, resource.columns)
    except WhereError as error:
        return Selection(name, refusal=str(error))
    if where.empty:
        return Selection(name, refusal="an empty filter means nothing, never everything")
    rows = where.filter(_rows(module, app))
    if not rows:
        return Selection(name, refusal=f"nothing that was read matches {where.text}")
    return Selection(name, tuple(rows), f"all {len(rows):,} of filter {where.text}")


def _complete(app: ConsoleApp, operation: Operation, text: str) -> list[str]:
    found = _resource(operation.resource)
    if found is None or app.platform is None:
        return []
    resource, module = found
    rows = _rows(module, app)
    span = completed_span(text, len(text))
    words = complete_where(text, len(text), resource.columns, rows[:: max(1, len(rows) // 2000)])
    return [f"{text[: span.start]}{word}" for word in words]


def _rows(module: Any, app: ConsoleApp) -> list[Any]:
    rows, platform = rows_of(module), app.platform
    if rows is None or platform is None:
        return []
    return list(rows(platform.state, platform.context))


def resource_of(name: str) -> Resource[Any] | None:
    """The resource that an operation calls by this name."""
    for entry in pkgutil.iter_modules(mailtui.resources.__path__):
        module = importlib.import_module(f"{mailtui.resources.__name__}.{entry.name}")
        resource = getattr(module, "RESOURCE", None)
        if isinstance(resource, Resource) and (
            same_resource(resource.name, name) or same_resource(entry.name, name)
        ):
            return resource
    return None


def open_list(app: ConsoleApp, argument: str) -> str:
    """`:list RESOURCE [FILTER]`; an error as a sentence, or an empty string."""
    from mailtui.screens.listing import Listing

    name, _, where = argument.partition(" ")
    found, platform = _resource(name), app.platform
    if found is None or platform is None:
        return f"there is no list {name!r}; Tab shows them" if name else "list needs a name"
    resource, module = found
    sources = module.SOURCES

    def fetch() -> tuple[list[Any], list[Any]]:
        readings = [r for source in sources for r in platform.state.of(source)]
        return _rows(module, app), readings or platform.readings()

    try:
        compile_where(where, resource.columns)
    except WhereError as error:
        return str(error)
    view = Listing(resource, fetch, sources=sources)
    app.push_screen(view)
    if where.strip():
        view.call_later(view.lead_in, where)
    return ""


def list_names(app: ConsoleApp) -> list[str]:
    """What can be listed."""
    names = []
    for entry in pkgutil.iter_modules(mailtui.resources.__path__):
        module = importlib.import_module(f"{mailtui.resources.__name__}.{entry.name}")
        if isinstance(getattr(module, "RESOURCE", None), Resource) and rows_of(module):
            names.append(entry.name)
    return names


def _resource(name: str) -> tuple[Resource[Any], Any] | None:
    """The resource called `name`, as an operation calls it, and its module."""
    for entry in pkgutil.iter_modules(mailtui.resources.__path__):
        module = importlib.import_module(f"{mailtui.resources.__name__}.{entry.name}")
        resource = getattr(module, "RESOURCE", None)
        if not isinstance(resource, Resource) or rows_of(module) is None:
            continue
        if same_resource(resource.name, name) or same_resource(entry.name, name):
            return resource, module
    return None
