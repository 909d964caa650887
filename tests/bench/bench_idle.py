"""The console idle on the overview, with every source polling: processor time and memory.

Processor time is the console's own (user and system), so that other work on the machine does not
count; the sandbox is a process of its own and is told separately.
"""

from __future__ import annotations

import psutil

from tests.bench.figures import Figure
from tests.bench.terminal import MAILTUI, Terminal

HOSTS = 20
WARM = 15.0
"""Seconds for the start: it is not idle yet."""
SECONDS = 60.0
CPU_TARGET = 5.0
"""Per cent of one core."""
MEMORY_TARGET = 120.0
"""MB (10^6 bytes), resident."""


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def main(seconds: float = SECONDS) -> list[Figure]:
    """Per cent of one core over `seconds`, and resident memory at their end."""
    with Terminal((*MAILTUI, "demo", "--hosts", str(HOSTS))) as terminal:
        terminal.wait_text("prometheus", 60.0)
        terminal.watch(WARM)
        console = psutil.Process(terminal.pid)
        (sandbox,) = console.children()
        before = _cpu(console), _cpu(sandbox)
        painted = terminal.watch(seconds)
        cpu = (_cpu(console) - before[0]) / seconds * 100
        sandbox_cpu = (_cpu(sandbox) - before[1]) / seconds * 100
        memory, sandbox_memory = console.memory_full_info(), sandbox.memory_info()
        started = before[0]
    resident = memory.rss / 1e6
    idle = f"{HOSTS} hosts, idle on the overview for {seconds:.0f} s"
    return [
        Figure(f"CPU, {idle}", f"{cpu:.2f} % of a core", None, "<= 5 %", cpu <= CPU_TARGET),
        Figure(
            "memory of the console then",
            f"{resident:.1f} MB resident, {memory.uss / 1e6:.1f} MB its own",
            None,
            "<= 120 MB",
            resident <= MEMORY_TARGET,
        ),
        Figure("CPU of its start, all sources read", f"{started:.2f} s"),
        Figure("painted meanwhile", f"{painted / seconds:.0f} bytes/s"),
        Figure(
            "the sandbox meanwhile",
            f"{sandbox_cpu:.2f} % of a core, {sandbox_memory.rss / 1e6:.1f} MB resident",
        ),
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
