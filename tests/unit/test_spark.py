"""Sparklines: shape, scale, gaps and resampling."""

from __future__ import annotations

import math

import pytest

from mailtui.model.spark import spark


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], 8, "▁▂▃▄▅▆▇█"),
        ([0, 0, 0], 3, "▁▁▁"),
        ([5, 5, 5], 3, "███"),
        ([0, 0.001, 100], 3, "▁▂█"),
        ([-7, 0], 2, "▁█"),
        ([1, None, 1], 3, "█ █"),
        ([math.nan, 1], 2, " █"),
        ([1], 4, "   █"),
        ([], 3, "   "),
        ([None, None], 2, "  "),
        ([1], 0, ""),
    ],
)
def test_line(values: list[float | None], width: int, line: str) -> None:
    assert spark(values, width) == line


def test_peak_survives_resampling() -> None:
    values: list[float | None] = [0.0] * 1000
    values[501] = 9
    line = spark(values, 10)
    assert line == "▁▁▁▁▁█▁▁▁▁"
    assert spark([None] * 10 + [1.0] * 10, 4) == "  ██"


def test_fixed_scale_clips() -> None:
    assert spark([0, 50, 100, 200], 4, lo=0, hi=100) == "▁▅██"
    assert spark([10, 20], 2, lo=10) == "▁█"
    assert spark([3, 3], 2, lo=3, hi=3) == "▁▁"


def test_ascii_ramp() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6], 7, ascii=True) == "_.-=+*#"


@pytest.mark.parametrize("count", [0, 1, 7, 59, 60, 61, 1000])
def test_width_is_exact(count: int) -> None:
    assert len(spark([float(i) for i in range(count)], 60)) == 60
