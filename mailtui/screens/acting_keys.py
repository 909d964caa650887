"""Keys and changes of acting that belong to the whole console."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.app import App

from mailtui.widgets.run_line import RunLine

if TYPE_CHECKING:
    from mailtui.app import ConsoleApp
    from mailtui.screens.acting import Acting
    from mailtui.screens.base import ConsoleScreen


class ActingKeys(App[int]):
    """The part of the application that acts."""

    acting_ready = False
    """True once operations are known: their modules are not imported before the first paint."""
    _acting: Acting | None = None

    @property
    def acting(self) -> Acting:
        """The write side; its modules are imported at the first use."""
        if self._acting is None:
            from mailtui.screens.acting import Acting

            self._acting = Acting(cast("ConsoleApp", self))
        return self._acting

    @property
    def view(self) -> ConsoleScreen | None:
        """The console's screen in view, also below a dialog."""
        raise NotImplementedError

    def say(self, error: str) -> None:
        """An error that a key met."""
        if error:
            self.notify(error, severity="warning", markup=False)

    def action_undo(self) -> None:
        """Plan to take the last run back."""
        self.say(self.acting.undo_last())

    def action_stop_run(self) -> None:
        """Stop what runs between two steps; give up what is planned."""
        self.say(self.acting.stop())

    def action_outcome(self) -> None:
        """The last outcome in full."""
        self.say(self.acting.show_outcome())

    def acting_changed(self) -> None:
        """A run began, went on or ended: show it on the screen in view."""
        view = self.view
        if self.is_running and view is not None and view.is_mounted and view.is_attached:
            for line in view.query(RunLine):
                line.lines = self.acting.jobs.lines()
            view.update_foot()
            self.update_top()

    def update_top(self) -> None:
        """Work out the first line again."""
        raise NotImplementedError

    def may_leave(self) -> bool:
        """Ending the console would interrupt what runs: it takes a second key."""
        if not self.acting_ready or not self.acting.jobs.running or self.acting.leaving:
            return True
        self.acting.leaving = True
        self.set_timer(5.0, self._stay)
        self.notify(
            "a run is in progress: . stops it between two steps; "
            "q again ends the console now and leaves it interrupted",
            severity="warning",
        )
        return False

    def _stay(self) -> None:
        self.acting.leaving = False
