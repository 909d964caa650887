"""A console that shows a recording under a frozen clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mailtui.app import ConsoleApp
from mailtui.collectors import recording
from mailtui.collectors.state import State
from mailtui.config.settings import Context, Host, Settings
from mailtui.loading import Loading
from mailtui.model import clock

DATA = Path(__file__).parent / "data"


class StillPlatform:
    """What the console needs of a platform, with nothing behind it."""

    def __init__(self, state: State, context: Context) -> None:
        self.name = "demo"
        self.state = state
        self.context = context
        self.collectors: list[Any] = []

    def look_at(self, sources: object) -> None:
        """Nothing is polled."""

    def read_now(self, sources: object = ()) -> None:
        """Nothing is polled."""

    def find(self, kind: type[Any], where: object = None) -> None:
        """Nothing can be asked."""

    async def stop(self, patience: float = 0.0) -> None:
        """Nothing runs."""


class StillApp(ConsoleApp):
    """Opens on a recording, at a screen."""

    def __init__(self, name: str, screen: str, where: str = "") -> None:
        state, time = recording.load((DATA / f"{name}.json").read_bytes())
        clock.set_clock(lambda: time)
        hosts = dict.fromkeys(r.target for r in state.of("hosts"))
        context = Context.model_validate(
            {
                "label": "DEMO eu-west",
                "color": "magenta",
                "simulation": True,
                "hosts": {host: Host() for host in hosts},
                "sources": {
                    "prometheus": {"url": "http://prometheus.example"},
                    "rabbitmq": {"url": "http://rabbitmq.example"},
                    "elasticsearch": {"urls": ["http://search.example"]},
                },
            }
        )

        def load() -> Settings:
            raise AssertionError("a recording needs no settings")

        super().__init__(Loading("recording", load, simulation=True), start=screen, where=where)
        self.user_name = "alice"
        self._still = StillPlatform(state, context)

    def begin(self) -> None:
        """Show the recording instead of connecting."""
        self.attach(self._still)  # type: ignore[arg-type]
        if self.view is not None:
            self.screen_in_view(self.view)
