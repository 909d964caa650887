"""What a screen does with the operations of its rows: keys, last line, what is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from textual import events
from textual.screen import Screen

from mailtui.screens.selection import Selection, of_table, same_resource
from mailtui.widgets.footline import FootKey
from mailtui.widgets.table import RowTable

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.operations.base import Operation

_BY_DANGER = {"safe": 0, "reversible": 1, "irreversible": 2, "destructive": 3}


def operations_for(resource: str) -> list[Operation]:
    """What has a key on rows of this resource: what loses something stands last."""
    from mailtui.operations import registry

    found = [o for o in registry.every() if same_resource(o.resource, resource) and o.key]
    visible = [o for o in found if not o.hidden]
    return sorted(visible, key=lambda o: _BY_DANGER[o.danger])


class ActsOnRows(Screen[None]):
    """The part of a console's screen that acts."""

    @property
    def acting_table(self) -> RowTable | None:
        """The table whose rows the keys of operations mean."""
        raise NotImplementedError

    def acting_resource(self) -> str:
        """The resource whose operations have keys here now; empty: none."""
        table = self.acting_table
        return table.resource.name if table is not None else ""

    def acting_row(self) -> Any:
        """The row that a key would act on, if it is one and only one."""
        table = self.acting_table
        return table.row if table is not None and not table.marked_keys else None

    def selection(self) -> Selection:
        """What an operation would act on now."""
        table = self.acting_table
        if table is None:
            return Selection("", refusal="there is no list on this screen")
        return of_table(table)

    def operation_keys(self) -> Iterator[FootKey]:
        """The keys of what can be done, for the last line; what cannot is dimmed."""
        app = cast("ConsoleApp", self.app)
        if not (app.acting_ready and (name := self.acting_resource())):
            return
        acting = app.acting
        row = self.acting_row()
        for operation in operations_for(name):
            why = acting.why_not(operation) or (operation.why_not_row(row) if row else "")
            yield FootKey(
                operation.key, operation.label, f"operate('{operation.id}')", bool(why), rank=1
            )

    def action_operate(self, name: str) -> None:
        """Begin with an operation; say why not."""
        from mailtui.operations import registry
        from mailtui.operations.base import Refused

        acting = cast("ConsoleApp", self.app).acting
        try:
            why = acting.start(registry.find(name), self.selection())
        except Refused as error:
            why = str(error)
        if why:
            self.notify(why, severity="warning", markup=False)

    def on_key(self, event: events.Key) -> None:
        """A key of an operation, while a list has the focus; the screen's own keys come first."""
        if not isinstance(self.focused, RowTable) or not event.is_printable:
            return
        if not cast("ConsoleApp", self.app).acting_ready:
            return
        bound = any(event.key in chain.key_to_bindings for _, chain in self._modal_binding_chain)
        if bound or not (name := self.acting_resource()):
            return
        for operation in operations_for(name):
            if operation.key == event.character:
                event.stop()
                event.prevent_default()
                self.action_operate(operation.id)
                return
