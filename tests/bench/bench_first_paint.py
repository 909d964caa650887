"""First paint of the demo against a bare Textual application, alternating on a real pty."""

from __future__ import annotations

import sys
from statistics import median

from tests.bench.figures import Figure, spread
from tests.bench.terminal import MAILTUI, Terminal

PAIRS = 9
TARGET = 1.3
BARE = """
from textual.app import App, ComposeResult
from textual.widgets import Static

class Bare(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("a bare application")

Bare().run()
"""


def main(pairs: int = PAIRS) -> list[Figure]:
    """Ratio of the medians of the seconds from exec to the first full frame."""
    bare: list[float] = []
    demo: list[float] = []
    bare_cpu: list[float] = []
    demo_cpu: list[float] = []
    for number in range(pairs + 1):
        with Terminal((sys.executable, "-c", BARE)) as terminal:
            bare.append(terminal.wait_text("a bare application"))
            bare_cpu.append(terminal.cpu())
        with Terminal((*MAILTUI, "demo")) as terminal:
            # the last word of the last line: the frame is whole
            demo.append(terminal.wait_text("sources"))
            demo_cpu.append(terminal.cpu())
        if number == 0:  # the first pair fills the disk's cache
            for taken in (bare, demo, bare_cpu, demo_cpu):
                taken.clear()
    ratio = median(demo) / median(bare)
    return [
        Figure("first paint, bare Textual application", spread(bare, 1000, " ms"), 1.0),
        Figure(
            "first paint, mailtui demo", spread(demo, 1000, " ms"), ratio, "<= 1.3", ratio <= TARGET
        ),
        Figure("its processor time, bare application", spread(bare_cpu, 1000, " ms"), 1.0),
        Figure(
            "its processor time, mailtui demo",
            spread(demo_cpu, 1000, " ms"),
            median(demo_cpu) / median(bare_cpu),
        ),
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
