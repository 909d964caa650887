"""The Textual application: contexts, screens, the command line, and what all screens share."""

from __future__ import annotations

import asyncio
import gc
import getpass
import importlib
import logging
import os
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.text import Text
from textual.reactive import Reactive
from textual.screen import Screen
from textual.theme import Theme

from mailtui.loading import Loading
from mailtui.model import clock
from mailtui.screens import ORDER
from mailtui.screens.acting_keys import ActingKeys
from mailtui.screens.base import ConsoleScreen
from mailtui.screens.command_keys import CommandKeys
from mailtui.screens.keys import BINDINGS
from mailtui.screens.top_facts import top_facts
from mailtui.widgets.glyphs import UNICODE, Glyphs, for_terminal
from mailtui.widgets.prompt import Prompt
from mailtui.widgets.table import RowTable
from mailtui.widgets.themes import THEMES
from mailtui.widgets.topline import TopLine

if TYPE_CHECKING:
    from mailtui.collectors.platform import Platform
    from mailtui.collectors.state import Key
    from mailtui.config.settings import Settings, Ui
    from mailtui.model.problem import Problem

log = logging.getLogger("mailtui.app")

FLUSH = 0.25
"""Seconds within which changes of the state are shown together."""


class ConsoleApp(ActingKeys, CommandKeys):
    """The console. It paints at once; settings and sources come in the background."""

    TITLE = "mailtui"
    ENABLE_COMMAND_PALETTE = True
    DEFAULT_MODE = ORDER[0]
    theme = Reactive("mailtui")
    CSS = """
    ConsoleScreen { layout: vertical; overflow: hidden hidden; }
    ContentSwitcher { height: 1fr; }
    /* with no width at all Textual divides by it */
    OptionList { min-width: 8; }
    /* above the last line, and the line of what runs */
    ToastRack { margin-bottom: 3; }
    """
    BINDINGS = BINDINGS

    def __init__(
        self, loading: Loading | None, *, start: str = "overview", where: str = ""
    ) -> None:
        if os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
            # Rich takes these for 80x25 whatever they are, and Textual would lay out without end
            os.environ["TERM"] = "vt100"
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.loading = loading
        self.glyphs: Glyphs = for_terminal() if not self.is_headless else UNICODE
        self.settings: Settings | None = None
        self.platform: Platform | None = None
        self.problems: list[Problem] = []
        self.user_name = _user_name()
        self._start = start, where
        self._views: dict[str, ConsoleScreen] = {}
        self._trail: list[str] = []
        self._problems_at = -1
        self.changes_wait = False
        """True while the state has changes that are not on the screen yet."""
        self._navigation = asyncio.Lock()
        """Held while screens are changed: a key during a change of platform waits for its end."""
        self._stop_listening: Callable[[], None] = lambda: None

    # --- life ---

    def get_theme(self, theme_name: str) -> Theme | None:
        """A theme by name; ours are known before any is registered, so that CSS is parsed once."""
        own = (theme for theme in THEMES if theme.name == theme_name)
        return next(own, None) or super().get_theme(theme_name)

    def get_default_screen(self) -> Screen[Any]:
        """The screen that is wanted first: an empty one before it would cost time."""
        return self._view(self.DEFAULT_MODE)

    async def on_mount(self) -> None:
        """Paint first, then load."""
        self.app_resume_signal.subscribe(self, lambda _: self._repaint())
        for mode in ORDER:
            self._add_mode(mode)
        if self.loading is None:
            from mailtui.screens.welcome import Welcome

            await self.push_screen(Welcome())
            self._started()
            return
        name, where = self._start
        if name != self.current_mode:
            await self._open(name)
        view = self._view(name)
        if where:
            # after the screen composed itself
            view.call_later(view.lead_in, where)
        self.set_interval(1.0, self._tick)
        view.call_after_refresh(self.begin)

    def _repaint(self) -> None:
        """Back from the shell (fg): nothing of what was painted is still there."""
        for widget in self.screen.walk_children(with_self=True):
            widget.refresh()

    def begin(self) -> None:
        """Load the settings and what reads them, on a thread: it imports much."""
        if self.loading is not None:
            threading.Thread(target=self._load, name="loading", daemon=True).start()

    def _load(self) -> None:
        assert self.loading is not None
        loading = self.loading
        try:
            settings = loading.load()
            from mailtui.collectors.journal import add_to
            from mailtui.collectors.platform import Platform
            from mailtui.problems import engine

            platform = Platform(*settings.choose(loading.context))
            add_to(platform, settings)
            engine.finders()
            importlib.import_module("mailtui.screens.acting")
        except Exception as error:
            # call_later posts a message: safe from any thread, and nobody waits for it
            self.call_later(self._failed_to_load, error)
        else:
            self.call_later(self._loaded, settings, platform)

    @staticmethod
    def _started() -> None:
        """Collect garbage from now on (see open_console); what the start made is never garbage."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    def _failed_to_load(self, error: Exception) -> None:
        self._started()
        from mailtui.screens.trouble import Trouble

        self.push_screen(Trouble(error))

    def _loaded(self, settings: Settings, platform: Platform) -> None:
        self._started()
        self.settings = settings
        self._use(settings.ui)
        self.attach(platform)
        platform.start()
        self.acting.attach(platform, settings)

    def _use(self, ui: Ui) -> None:
        """The configured colours and signs; the first paint could not wait for them."""
        if ui.theme in self.available_themes:
            self.theme = ui.theme
        else:
            self.notify(
                f"ui.theme: there is no theme {ui.theme!r}; :theme and Tab show them", markup=False
            )
        self.glyphs = for_terminal(ui.ascii)
        for view in self._views.values():
            if view.is_mounted:
                view.use_glyphs(self.glyphs)

    def attach(self, platform: Platform) -> None:
        """Show this platform from now on."""
        self._stop_listening()
        self.platform = platform
        self.problems, self._problems_at = [], -1
        self._stop_listening = platform.state.listen(self._state_changed)
        self._show_changes()

    async def load_from(self, loading: Loading) -> None:
        """Leave the welcome screen for a platform."""
        self.loading = loading
        await self._open(*self._start)
        self.set_interval(1.0, self._tick)
        self.begin()

    def leave(self, code: int = 0) -> None:
        """End the console: the terminal first, everything else without waiting."""
        self.exit(code, return_code=code)

    async def action_leave(self) -> None:
        """Quit."""
        if self.may_leave():
            self.leave(0)

    def action_help_quit(self) -> None:
        """Ctrl+C ends nothing by accident; it says what does."""
        self.notify("q quits", timeout=3)

    def ended(self) -> None:
        """The terminal is given back: end what was started."""
        if self.loading is not None:
            self.loading.stop()

    async def on_unmount(self) -> None:
        """Stop reading; what hangs is left behind."""
        if self.platform is not None:
            await self.platform.stop(patience=0.05)

    def _handle_exception(self, error: Exception) -> None:
        """What breaks while the console ends anyway changes neither its words nor its code."""
        if self._exit:
            log.error("while ending", exc_info=error)
            return
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """A defect: write a report that shows no variable, say where it is."""
        import sys

        from mailtui import crash

        self._return_code = crash.EXIT_CODE
        if self._exit_renderables:
            return  # it is told already; what follows is mostly its consequence
        error = self._exception or sys.exc_info()[1] or RuntimeError("unknown")
        path = crash.write(error)
        where = f"the report is in {path}" if path else crash.report(error)
        error = getattr(error, "error", error)  # Textual's WorkerFailed keeps the real one there
        words = f"mailtui broke: {type(error).__name__}; {where}\n"
        self._exit_renderables.append(Text(words, no_wrap=True, overflow="ignore"))
        self._close_messages_no_wait()

    # --- the state, on screen ---

    def _state_changed(self, key: Key) -> None:
        if not self.changes_wait:
            self.changes_wait = True
            self.set_timer(FLUSH, self._show_changes)

    def _show_changes(self) -> None:
        self.changes_wait = False
        platform = self.platform
        if platform is None or not self.is_running:
            return
        if self._problems_at != platform.state.version:
            from mailtui.problems.engine import find_all

            self._problems_at = platform.state.version
            self.problems = find_all(platform.state, platform.context, clock.now())
        if (view := self._ready_view) is not None:
            view.data_changed()
        self.update_top()

    def _tick(self) -> None:
        if (view := self._ready_view) is not None:
            view.tick()
        self.update_top()

    def screen_in_view(self, view: ConsoleScreen) -> None:
        """A screen came into view: it shows what came meanwhile, and its sources are read."""
        if self.platform is not None:
            self.platform.look_at(view.wanted(self.platform))
            view.data_changed()
        view.update_foot()
        self.update_top()

    @property
    def view(self) -> ConsoleScreen | None:
        """The console's screen in view, also below a dialog."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen):
                return screen
        return None

    @property
    def _ready_view(self) -> ConsoleScreen | None:
        """The screen in view if its widgets are there: a timer may come before or after them."""
        view = self.view
        if view is None or not (view.is_mounted and view.is_attached):
            return None
        # while it ends, a screen outlives its widgets
        return view if view.query(TopLine) else None

    def update_top(self) -> None:
        if (view := self._ready_view) is not None:
            view.query_one(TopLine).facts = top_facts(self, view)

    # --- going about ---

    @property
    def path(self) -> tuple[str, ...]:
        """Headings of the screen before and of the one in view."""
        here = (view.HEADING,) if (view := self.view) is not None else ()
        return (*(self._view(name).HEADING for name in self._trail[-1:]), *here)

    def screen_names(self) -> tuple[str, ...]:
        """The screens, in the order of the number keys."""
        return ORDER

    def _add_mode(self, name: str) -> None:
        """A mode a screen: it stays as it is while others are in view (cursor, marks, filter)."""
        self.add_mode(name, partial(self._view, name))

    def _view(self, name: str) -> ConsoleScreen:
        if name not in self._views:
            module = importlib.import_module(f"mailtui.screens.{name}")
            self._views[name] = module.View()
        return self._views[name]

    async def _open(self, name: str, where: str = "") -> None:
        async with self._navigation:
            await self._bring_up(name, where)

    async def _bring_up(self, name: str, where: str = "") -> None:
        view = self._view(name)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        await self.switch_mode(name)
        if where:
            view.lead_in(where)

    def go_to(self, name: str, where: str = "") -> str:
        """Show a screen, with a filter; an error as a sentence, or an empty string."""
        if name not in ORDER:
            return f"there is no screen {name!r}"
        if self.view is not None and name != self.current_mode:
            self._trail.append(self.current_mode)
            del self._trail[:-20]
        self.run_worker(self._open(name, where), exclusive=False, exit_on_error=True)
        return ""

    def action_go(self, name: str) -> None:
        """Show a screen."""
        self.go_to(name)

    async def action_back(self) -> None:
        """Take off the filter of the list; if it has none, go to the screen before."""
        view = self.view
        if view is None or self.screen is not view or view.clear_filter():
            return
        if self._trail:
            self.run_worker(self._open(self._trail.pop()), exclusive=False)

    def action_filter(self) -> None:
        """Open the prompt for a filter."""
        if (view := self.view) is not None and self.screen is view:
            view.action_filter()

    def action_help(self) -> None:
        """Keys, commands, filter language."""
        from mailtui.screens.help import Help

        if (view := self.view) is not None and self.screen is view:
            self.push_screen(Help(view))

    def action_contexts(self) -> None:
        """Choose another platform."""
        from mailtui.screens.contexts import Contexts

        if self.settings is not None and isinstance(self.screen, ConsoleScreen):
            self.push_screen(Contexts(self))

    def context_names(self) -> list[str]:
        """The contexts of the configuration."""
        return list(self.settings.contexts) if self.settings is not None else []

    def switch_context(self, name: str) -> str:
        """Work on another platform; nothing of the one before stays on screen."""
        if self.settings is None:
            return "the configuration is not read yet"
        if name not in self.settings.contexts:
            return f"there is no context {name!r}; expected {', '.join(self.settings.contexts)}"
        if self.platform is not None and self.platform.name == name:
            return ""
        if self.acting_ready and self.acting.jobs.running:
            return "a run is in progress here; wait for its end, or stop it with . first"
        self.run_worker(self._switch(name), exclusive=False, group="context")
        return ""

    async def _switch(self, name: str) -> None:
        from mailtui.collectors.journal import add_to
        from mailtui.collectors.platform import Platform

        assert self.settings is not None
        async with self._navigation:
            old = self.platform
            if old is not None and old.name == name:
                return
            platform = Platform(*self.settings.choose(name))
            add_to(platform, self.settings)
            self._trail.clear()
            await self._bring_up(self.DEFAULT_MODE)
            await self._forget_views()
            self.attach(platform)
            platform.start()
            self.acting.attach(platform, self.settings)
            if (here := self.view) is not None:
                self.screen_in_view(here)
        if old is not None:
            await old.stop()

    async def _forget_views(self) -> None:
        """Nothing of one platform stays on a screen for the next: rows, filters, marks."""
        first = self._view(self.DEFAULT_MODE)
        for view in [view for view in self._views.values() if view is not first]:
            del self._views[view.NAME]
            await self.remove_mode(view.NAME)
            self._add_mode(view.NAME)
        for table in first.query(RowTable):
            table.set_resource(table.resource)

    # --- what every screen can do ---

    def read_now(self, sources: Iterable[str] = ()) -> str:
        """Read now; an error as a sentence, or an empty string."""
        if self.platform is None:
            return "nothing is connected yet"
        unknown = set(sources) - set(self.source_names())
        if unknown:
            return f"there is no source {unknown.pop()!r}; Tab shows them"
        self.platform.read_now(sources)
        self.notify("reading now", timeout=2)
        return ""

    def action_read_now(self) -> None:
        """Read every source now."""
        self.read_now()

    def source_names(self) -> list[str]:
        """The sources of this platform."""
        if self.platform is None:
            return []
        return list(dict.fromkeys(c.source for c in self.platform.collectors))

    def action_copy(self) -> None:
        """Copy rows, by OSC 52."""
        from mailtui.screens import taking

        taking.copy(self)

    def export(self, target: str) -> str:
        """Write the shown rows to a file; an error as a sentence, or an empty string."""
        from mailtui.screens import taking

        return taking.export(self, target)

    def action_export_prompt(self) -> None:
        """Open the prompt with an export command."""
        from mailtui.screens import commands, taking

        if (view := self.view) is not None and self.screen is view:
            view.query_one(Prompt).open(
                ":",
                f"export {taking.default_name(self)}",
                lambda text, _: commands.complete(self, text),
                hint="Enter writes the shown rows; .csv or .json by the name",
            )

    def save_shot(self, target: str) -> str:
        """Save a picture of the screen; an error as a sentence, or an empty string."""
        from mailtui.screens import taking

        return taking.shot(self, target)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
