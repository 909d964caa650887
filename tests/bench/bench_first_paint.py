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
    for number in range(pairs + 1):
        with Terminal((sys.executable, "-c", BARE)) as terminal:
            bare.append(terminal.wait_text("a bare application"))
        with Terminal((*MAILTUI, "demo")) as terminal:
            # the last word of the last line: the frame is whole
            demo.append(terminal.wait_text("sources"))
        if number == 0:  # the first pair fills the disk's cache
            bare.clear()
            demo.clear()
    ratio = median(demo) / median(bare)
    return [
        Figure("first paint, bare Textual application", spread(bare, 1000, " ms"), 1.0),
        Figure(
            "first paint, mailtui demo", spread(demo, 1000, " ms"), ratio, "<= 1.3", ratio <= TARGET
        ),
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
