"""`mailtui operator` as it is run: exit codes, what is asked, what is never printed."""

from __future__ import annotations

import json
import os
import pwd
import re
import subprocess
import sys
from pathlib import Path
from typing import IO, cast

import pyotp
import pytest

from mailtui.access.journal import Journal
from mailtui.headless import exits

ME = pwd.getpwuid(os.getuid()).pw_name
OTHER = "daemon"
CONFIG = """\
contexts:
  prod: {hosts: {mx1: {address: 192.0.2.1}}}
access: {url: "sqlite:///state/operators.db"}
journal: {path: state/journal.jsonl}
"""


class House:
    """A configuration whose platform cannot be reached, and its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.config.write_text(CONFIG)
        self.journal = folder / "state" / "journal.jsonl"

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "mailtui", "operator", *words, "-c", str(self.config)]

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin", "HOME": str(self.folder), "PYTHONUTF8": "1", "USER": "mallory",
        }  # fmt: skip

    def run(self, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(*words), capture_output=True, text=True, input=typed, env=self.env,
            check=False,
        )  # fmt: skip

    def told(self) -> list[str]:
        return [str(record.facts["text"]) for _, record in Journal(self.journal).records()]

    def enroll(self) -> tuple[pyotp.TOTP, list[str]]:
        """(the phone, recovery codes)."""
        process = subprocess.Popen(
            self.argv("enroll"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self.env,
        )  # fmt: skip
        first = cast("IO[str]", process.stdout).readline()
        phone = pyotp.TOTP(first.removeprefix("secret ").replace(" ", "").strip())
        out, _ = process.communicate(phone.now() + "\n")
        assert process.returncode == exits.OK
        return phone, out.split()


@pytest.fixture(name="house")
def house_fixture(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.fixture(name="home")
def home_fixture(house: House) -> House:
    """With this user as admin."""
    assert house.run("add", ME, "--role", "admin").returncode == exits.OK
    return house


def test_looking_makes_nothing_and_names_the_first_step(house: House) -> None:
    done = house.run("list")
    assert (done.returncode, done.stdout) == (exits.OK, "")
    assert f"mailtui operator add {ME} --role admin" in done.stderr
    assert json.loads(house.run("list", "-o", "json").stdout)["operators"] == []
    for words in (("enroll",), ("grant", OTHER, "--role", "viewer"), ("reset", OTHER)):
        done = house.run(*words)
        assert done.returncode == exits.USAGE
        assert "there are no operators yet" in done.stderr
    assert not (house.folder / "state").exists()


def test_operators_are_added_granted_and_listed(home: House) -> None:
    added = home.run("add", OTHER, "--role", "operator", "--tenant", "acme", "--context", "prod")
    assert added.stdout == f"{OTHER}: operator for tenant acme on prod, has no second factor\n"
    home.run("grant", OTHER, "--role", "helpdesk")
    assert home.run("disable", OTHER).returncode == exits.OK
    listed = home.run("list")
    assert listed.returncode == exits.OK
    assert re.search(rf"^{OTHER} +operator for tenant acme on prod, helpdesk +no +disabled +never$",
                     listed.stdout, re.M)  # fmt: skip
    found = {
        one["name"]: one for one in json.loads(home.run("list", "-o", "json").stdout)["operators"]
    }
    assert found[OTHER]["disabled"]
    assert found[OTHER]["grants"] == [
        {"role": "operator", "tenant": "acme", "context": "prod"},
        {"role": "helpdesk", "tenant": None, "context": None},
    ]
    assert found[ME]["grants"][0]["role"] == "admin"
    assert [text.split(" by ")[0] for text in home.told()] == [
        f"add {ME} (role admin)",
        f"add {OTHER} (role operator, tenant acme, in_context prod)",
        f"grant {OTHER} (role helpdesk)",
        f"disable {OTHER}",
    ]
    assert not Journal(home.journal).verify().broken


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", OTHER), "needs --role, one of viewer, helpdesk, operator, admin"),
        (("add", "--role", "viewer"), "needs a NAME"),
        (("add", OTHER, "--role", "boss"), "there is no role 'boss'"),
        (("add", "nosuchuser", "--role", "viewer"), "this machine has no user 'nosuchuser'"),
        (("add", OTHER, "--role", "viewer", "--context", "x"), "there is no context 'x'"),
        (("grant", "nosuchuser", "--role", "viewer"), "there is no operator 'nosuchuser'"),
        (("disable", ME), "is the last admin"),
        (("revoke", ME, "--role", "admin"), "is the last admin"),
        (("enroll", OTHER), "takes no NAME"),
        (("disable", OTHER, "--role", "viewer"), "--role and --tenant belong to"),
        (("list", "--context", "prod"), "--context limits a role"),
    ],
)
def test_what_makes_no_sense(home: House, words: tuple[str, ...], said: str) -> None:
    done = home.run(*words)
    assert done.returncode == exits.USAGE
    assert said in done.stderr
    assert not done.stdout
    assert len(home.told()) == 1


def test_who_is_no_admin_changes_nothing_and_it_is_written_down(home: House) -> None:
    home.run("add", OTHER, "--role", "admin")
    # as if this user had been an operator all along: the real uid decides, not $USER
    import sqlite3

    with sqlite3.connect(home.folder / "state" / "operators.db") as connection:
        connection.execute("UPDATE operator_grants SET role='operator' WHERE operator=?", (ME,))
    done = home.run("grant", ME, "--role", "admin")
    assert done.returncode == exits.NO_PERMISSION
    assert f"operator.manage needs the role admin, and {ME} is operator" in done.stderr
    assert "refused" in home.told()[-1]
    assert not (home.folder / ".local").exists()  # no crash report: it is no defect


def test_enrolment_by_a_script(home: House) -> None:
    phone, codes = home.enroll()
    assert len(codes) == 10
    journal = home.journal.read_text()
    assert home.told()[-1].startswith(f"enroll {ME} by ")
    assert phone.secret not in journal
    assert not any(code in journal for code in codes)
    database = (home.folder / "state" / "operators.db").read_bytes()
    assert phone.secret.encode() not in database
    assert not any(code.encode() in database for code in codes)


def test_with_a_second_factor_changing_operators_asks_for_it(home: House) -> None:
    _, codes = home.enroll()
    done = home.run("add", OTHER, "--role", "viewer")
    assert done.returncode == exits.USAGE
    assert "--code-stdin" in done.stderr
    done = home.run("add", OTHER, "--role", "viewer", "--code-stdin", typed="aaaaa-aaaaa\n")
    assert done.returncode == exits.NO_PERMISSION
    assert "refused second factor: this is no recovery code" in home.told()[-1]
    done = home.run("add", OTHER, "--role", "viewer", "--code-stdin", typed=f"{codes[0]}\n")
    assert (done.returncode, done.stdout[:6]) == (exits.OK, OTHER)
    assert "9 left" in done.stderr
    # a recovery code replaces the lost phone
    done = home.run("enroll", typed="zzzzz-zzzzz\n")
    assert done.returncode == exits.NO_PERMISSION
    assert "secret" not in done.stdout
    done = home.run("enroll", typed=f"{codes[1]}\n000000\n")
    assert done.returncode == exits.NO_PERMISSION
    assert "this is not the code of the secret" in done.stderr
    assert len(home.run("codes", typed=f"{codes[2]}\n").stdout.split()) == 10


def test_nothing_changes_when_the_journal_cannot_be_written(home: House) -> None:
    home.journal.rename(home.journal.with_name("kept"))
    home.journal.mkdir()
    done = home.run("add", OTHER, "--role", "viewer")
    assert done.returncode == exits.CANNOT_CREATE
    assert "cannot be written" in done.stderr
    assert OTHER not in home.run("list").stdout


def test_a_database_that_cannot_be_used(home: House) -> None:
    (home.folder / "state" / "operators.db").write_bytes(b"nonsense" * 2000)
    done = home.run("list")
    assert done.returncode == exits.UNAVAILABLE
    assert "is no SQLite database; see access.url" in done.stderr


def test_a_wrong_configuration(home: House) -> None:
    home.config.write_text(CONFIG.replace("sqlite:///state/operators.db", "postgresql://a:b@c/d"))
    done = home.run("list")
    assert done.returncode == exits.CONFIG
    assert "config.yaml:3: access.url: no user or password in a URL" in done.stderr


def test_the_demo_has_none(house: House) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mailtui", "operator", "list", "--demo"],
        capture_output=True, text=True, env=house.env, check=False,
    )  # fmt: skip
    assert done.returncode == exits.USAGE
    assert "the demo has no operators" in done.stderr


def test_on_a_terminal_nothing_that_is_typed_is_shown(home: House) -> None:
    import pty

    pid, descriptor = pty.fork()
    if pid == 0:
        os.execve(sys.executable, home.argv("enroll"), {**home.env, "TERM": "xterm-256color"})
    seen = b""

    def read_until(mark: bytes) -> None:
        nonlocal seen
        start = len(seen)
        while mark not in seen[start:]:
            seen += os.read(descriptor, 65536)

    read_until(b"shows now (not shown): ")
    found = re.search(r"30 s\): ([A-Z2-7 ]{39})", seen.decode())
    assert found is not None
    phone = pyotp.TOTP(found[1].replace(" ", ""))
    os.write(descriptor, b"999999 \n")
    read_until(b"shows now (not shown): ")
    code = phone.now()
    os.write(descriptor, f"{code}\n".encode())
    read_until(b"is in force")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == exits.OK
    os.close(descriptor)
    text = seen.decode()
    assert "▀" in text
    assert "999999" not in text
    assert code not in text
    assert len(re.findall(r"\b[a-z2-9]{5}-[a-z2-9]{5}\b", text)) == 10
