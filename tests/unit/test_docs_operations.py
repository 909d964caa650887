"""docs/operations.md is what the registry says."""

from __future__ import annotations

from docs import operations
from mailtui.operations import registry


def test_the_page_is_up_to_date() -> None:
    assert operations.TARGET.read_text(encoding="utf-8") == operations.text(), "run: make docs"


def test_every_operation_explains_itself() -> None:
    assert [o.id for o in registry.every() if not o.help] == []


def test_what_is_reversible_says_how() -> None:
    unsaid = [o.id for o in registry.every() if o.danger == "reversible" and not o.inverse]
    assert unsaid == []
