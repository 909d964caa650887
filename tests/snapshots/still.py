"""A console that shows a recording under a frozen clock."""

from __future__ import annotations

import lzma
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from mailtui.app import ConsoleApp
from mailtui.collectors import recording
from mailtui.collectors.audit_tail import AuditTailCollector
from mailtui.collectors.postfix import MessageText, PostfixCollector
from mailtui.collectors.state import State
from mailtui.config.settings import Context, Host, Settings
from mailtui.connections.errors import SourceError
from mailtui.loading import Loading
from mailtui.model import clock
from mailtui.model.audit import AuditPage, AuditTail, Histogram
from mailtui.model.reading import AnyReading

DATA = Path(__file__).parent / "data"


HEADERS = """\
*** ENVELOPE RECORDS deferred/4/4jYkvz0mjgz14tY ***
message_arrival_time: Tue Nov 24 13:38:01 2026
sender: news@dept1.example.org
*** MESSAGE CONTENTS ***
From: \u201cDépartement 1\u201d <news@dept1.example.org>
Subject: Нові правила [/markup] \ufffd]52;c;aGk=\ufffd
Message-Id: <20261124133801.4jYkvz0mjgz14tY@mx1.example.org>
"""


class StillSearch:
    """Answers as the sandbox did when the readings were recorded."""

    def __init__(self, name: str, state: State) -> None:
        self._tail = state.value("audit", AuditTail) or AuditTail()
        self._fault = state.get("audit").fault
        recorded = msgspec.json.decode(
            (DATA / "histograms.json").read_bytes(), type=dict[str, Histogram]
        )
        self._histogram = recorded.get(name, Histogram(interval=7.5))

    async def search(self, *args: Any, limit: int = 500, **options: Any) -> AuditPage:
        """The recorded events, the newest first."""
        self._check()
        events = self._tail.events[::-1][:limit]
        return AuditPage(events, total=self._histogram.total)

    async def histogram(self, *args: Any) -> Histogram:
        """The recorded one."""
        self._check()
        return self._histogram

    def _check(self) -> None:
        if self._fault is not None:
            raise SourceError(self._fault.kind, self._fault.message, self._fault.hint)


@dataclass
class StillTail:
    """What has the search."""

    search: StillSearch


class StillPostfix:
    """Has one message's headers."""

    async def describe(self, queue_id: str) -> MessageText:
        """The same for each."""
        return MessageText("mx1", queue_id, HEADERS)


class StillPlatform:
    """What the console needs of a platform, with nothing behind it."""

    def __init__(self, state: State, context: Context, search: StillSearch) -> None:
        self.name = "demo"
        self.state = state
        self.context = context
        self.collectors: list[Any] = []
        self.search = search

    def look_at(self, sources: object) -> None:
        """Nothing is polled."""

    def readings(self, sources: Sequence[str] = ()) -> list[AnyReading]:
        """As the platform: without names, those that are always read."""
        on_demand = ("audit", "broker_connections")
        return [
            r
            for r in self.state.all()
            if (r.source in sources if sources else r.source not in on_demand)
        ]

    def read_now(self, sources: object = ()) -> None:
        """Nothing is polled."""

    def find(self, kind: type[Any], where: object = None) -> Any:
        """Nothing can be asked but the audit trail and a message."""
        if kind is PostfixCollector:
            return StillPostfix()
        return StillTail(self.search) if kind is AuditTailCollector else None

    async def stop(self, patience: float = 0.0) -> None:
        """Nothing runs."""


class StillApp(ConsoleApp):
    """Opens on a recording, at a screen."""

    def __init__(self, name: str, screen: str, where: str = "") -> None:
        state, time = recording.load(lzma.decompress((DATA / f"{name}.json.xz").read_bytes()))
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
        self._still = StillPlatform(state, context, StillSearch(name, state))

    def begin(self) -> None:
        """Show the recording instead of connecting."""
        self.attach(self._still)  # type: ignore[arg-type]
        if self.view is not None:
            self.screen_in_view(self.view)
