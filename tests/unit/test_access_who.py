"""Who acts, the armed time, and QR codes: what needs no database."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
import segno
from hypothesis import given
from hypothesis import strategies as st

from mailtui.access import qr, recovery, whoami
from mailtui.access.armed import Armed


@pytest.mark.parametrize(
    ("text", "login"),
    [
        ("1", pwd.getpwuid(1).pw_name),
        (str(os.getuid()), ""),
        ("4294967295", ""),
        ("3999999999", "uid-3999999999"),
        ("nonsense", ""),
        (None, ""),
    ],
)
def test_who_logged_in_is_told_if_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, login: str
) -> None:
    file = tmp_path / "loginuid"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(whoami, "LOGIN_UID", file)
    for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME"):
        monkeypatch.setenv(name, "mallory")
    who = whoami.whoami()
    assert (who.name, who.uid, who.login) == (pwd.getpwuid(os.getuid()).pw_name, os.getuid(), login)
    assert who.words == (f"{who.name} (logged in as {login})" if login else who.name)


def test_users_of_this_machine() -> None:
    assert whoami.is_system_user("root")
    assert not whoami.is_system_user("no such user")


def test_armed_for_a_time_in_this_process() -> None:
    armed = Armed(300)
    assert not armed
    assert armed.remaining(1000) == 0
    armed.arm(1000)
    assert [armed.remaining(at) for at in (1000, 1299, 1300, 9999)] == [300, 1, 0, 0]
    armed.arm()
    assert armed
    assert 0 < armed.remaining() <= 300
    armed.disarm()
    assert not armed


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=150))
def test_both_texts_of_a_qr_code_have_every_module(text: str) -> None:
    modules = qr.matrix(text)
    wanted = [[bool(m) for m in row] for row in segno.make(text, error="l", micro=False,
              boost_error=False).matrix]  # fmt: skip
    size = len(wanted) + 2 * qr.QUIET
    assert [[row[qr.QUIET : -qr.QUIET]][0] for row in modules[qr.QUIET : -qr.QUIET]] == [
        tuple(row) for row in wanted
    ]
    quiet = modules[: qr.QUIET] + modules[-qr.QUIET :]
    assert not any(any(row) for row in quiet)
    ascii_rows = [[c == "#" for c in line[::2]] for line in qr.ascii_blocks(modules)]
    assert ascii_rows == [list(row) for row in modules]
    rows = []
    for line in qr.half_blocks(modules):
        rows.append([c in "█▀" for c in line])
        rows.append([c in "█▄" for c in line])
    assert rows[:size] == [list(row) for row in modules]
    assert not any(any(row) for row in rows[size:])
    assert qr.inverted(qr.inverted(modules)) == modules


def test_a_painted_code_is_black_on_white_on_every_terminal() -> None:
    lines = qr.painted(qr.half_blocks(qr.matrix("x")))
    assert all(line.startswith("\x1b[30;47;107m") and line.endswith("\x1b[0m") for line in lines)


@given(st.text(max_size=20))
def test_what_is_a_recovery_code(text: str) -> None:
    word = recovery.normal(text)
    assert word is None or (len(word) == 10 and recovery.normal(word) == word)


def test_recovery_codes() -> None:
    codes = recovery.new_codes()
    assert len(set(codes)) == 10
    assert all(recovery.normal(code.upper()) == code.replace("-", "") for code in codes)
    stored = recovery.hashed(codes[0])
    assert recovery.is_hash_of(stored, codes[0].replace("-", ""))
    assert not recovery.is_hash_of(stored, codes[1].replace("-", ""))
    assert not recovery.is_hash_of("not a hash", "x")
