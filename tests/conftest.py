"""What every test starts from."""

from __future__ import annotations

import pytest

from mailtui.config import revealed


@pytest.fixture(autouse=True)
def no_secret_is_known() -> None:
    """A secret that another test revealed is not masked in this one."""
    revealed.forget()
