"""Make the README's pictures again: `make shots`.

They are the recorded screens of the snapshot tests, so they change only when a screen does.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled

HERE = Path(__file__).parent
SHOTS = {
    "overview": ("incident", "overview", ()),
    "queues": ("incident", "queues", ("down",)),
    "audit": ("incident", "audit", ()),
}


async def shoot(state: str, screen: str, keys: tuple[str, ...]) -> str:
    """The SVG of one screen."""
    app = StillApp(state, screen)
    async with app.run_test(size=(120, 32)) as pilot:
        await settled(pilot)
        for key in keys:
            await pilot.press(key)
            await settled(pilot)
        return app.export_screenshot(title="mailtui")


def main() -> None:
    """Write every picture."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name, (state, screen, keys) in SHOTS.items():
        path = HERE / f"{name}.svg"
        path.write_text(asyncio.run(shoot(state, screen, keys)), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
