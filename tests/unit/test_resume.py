"""Back from the shell: the terminal shows nothing of what was painted before."""

from __future__ import annotations

import pytest

from mailtui.widgets.heading import Heading
from tests.snapshots.still import StillApp
from tests.snapshots.test_screens import settled


async def test_everything_is_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    painted: list[str] = []
    render = Heading.render

    def counted(self: Heading) -> object:
        painted.append(self.heading)
        return render(self)

    monkeypatch.setattr(Heading, "render", counted)
    app = StillApp("quiet", "overview")
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        painted.clear()
        await pilot.pause()
        assert painted == []
        app.app_resume_signal.publish(app)
        await settled(pilot)
        assert "Does mail flow?" in painted
