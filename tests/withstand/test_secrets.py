"""A secret that was read appears in no report, no log and no error, however it is quoted."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from mailtui import crash, logs
from mailtui.config import revealed
from mailtui.config.secrets import Secret
from mailtui.connections.errors import SourceError

SECRET = "pä ss/w\"ord'\\1?&=%+"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Read as the console reads it."""
    revealed.forget()
    monkeypatch.setenv("MAILTUI_TEST_SECRET", SECRET)
    yield Secret(env="MAILTUI_TEST_SECRET").reveal()
    revealed.forget()


FORMS = [
    SECRET,
    repr(SECRET),
    repr({"password": SECRET}),
    json.dumps(SECRET),
    quote(SECRET, safe=""),
    base64.b64encode(SECRET.encode()).decode(),
    f"https://mailtui:{quote(SECRET, safe='')}@host/",
]


@pytest.mark.parametrize("form", FORMS)
def test_masked(form: str) -> None:
    """In every form."""
    for text in (
        crash.report(RuntimeError(f"login {form} refused")),
        str(SourceError("auth", f"said {form}", f"not {form}")),
        SourceError("auth", f"said {form}").message,
    ):
        assert form not in text and SECRET not in text
        assert revealed.MASK in text


def test_chain_of_causes() -> None:
    """The causes of an error are in its report too."""
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            error.add_note(f"note {SECRET}")
            raise RuntimeError("outer") from error
    except RuntimeError as error:
        text = crash.report(error)
    assert "ValueError" in text and "outer" in text and "note" in text
    assert SECRET not in text


def test_log_file(state_home: Path) -> None:
    """Only its owner reads it; one record a line that no sequence can break out of."""
    log, handler = logging.getLogger("mailtui.test"), logs.LogFile()
    log.addHandler(handler)
    try:
        assert not (state_home / "mailtui").exists()
        try:
            raise RuntimeError(f"\x1b]52;c;AAAA\x07 {SECRET}")
        except RuntimeError:
            log.exception("failed with %s", SECRET)
        logging.getLogger("aiohttp.client").addHandler(handler)
        logging.getLogger("aiohttp.client").warning("noise")
    finally:
        log.removeHandler(handler)
        logging.getLogger("aiohttp.client").removeHandler(handler)
    path = state_home / "mailtui" / "mailtui.log"
    text = path.read_text()
    assert "RuntimeError" in text and "noise" not in text
    assert SECRET not in text and "\x1b" not in text
    assert path.stat().st_mode & 0o077 == 0


def test_short_secrets_garble_nothing() -> None:
    """A secret of three characters is not masked: it would be everywhere."""
    revealed.remember("abc")
    assert revealed.mask("abcdef") == "abcdef"
