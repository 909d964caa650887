"""The command line itself: options before and after the verb, exit codes, what is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mailtui import cli
from mailtui.headless import exits
from mailtui.headless.errors import Refused
from mailtui.headless.source import SCENARIOS, chosen, config_path

DOCS = Path(__file__).parents[2] / "docs" / "headless.md"


def parse(*argv: str) -> Any:
    return cli.parser().parse_args(cli.joined(list(argv)))


def mailtui(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailtui", *argv],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PYTHONUTF8": "1", **env},
        check=False,
    )


@pytest.mark.parametrize(
    "argv",
    [
        ("--demo", "--seed", "7", "--context", "a", "-c", "x.yaml", "get", "messages"),
        ("get", "messages", "--demo", "--seed", "7", "--context", "a", "-c", "x.yaml"),
        ("--demo", "--seed", "7", "get", "--context", "a", "messages", "-c", "x.yaml"),
    ],
)
def test_global_options_work_before_and_after_the_verb(argv: tuple[str, ...]) -> None:
    args = parse(*argv)
    assert (args.verb, args.resource) == ("get", "messages")
    assert (args.demo, args.seed, args.context, args.config) == (True, 7, "a", Path("x.yaml"))


def test_a_value_may_begin_with_a_dash() -> None:
    args = parse("get", "messages", "--sort", "-age", "--where", "-queue:hold", "-o", "json")
    assert (args.sort, args.where, args.output) == ("-age", "-queue:hold", "json")
    assert cli.joined(["a", "--sort"]) == ["a", "--sort"]
    assert cli.joined(["--", "--sort", "-x"]) == ["--", "--sort", "-x"]


@pytest.mark.parametrize(
    "argv",
    [
        ("nonsense",),
        ("get", "messages", "--out", "json"),
        ("get", "messages", "--limit", "0"),
        ("get", "messages", "-o", "xml"),
        ("shot", "nowhere"),
        ("shot", "overview", "--size", "3x3"),
        ("tail", "messages"),
        ("config", "improve"),
    ],
)
def test_wrong_usage(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*argv)
    assert ended.value.code == exits.USAGE
    said = capsys.readouterr()
    assert not said.out
    assert "usage:" in said.err
    assert "--help" in said.err


def test_options_that_do_not_go_together() -> None:
    for argv in (("--demo", "--this-host"), ("--demo", "-c", "x"), ("--this-host", "-c", "x")):
        with pytest.raises(Refused, match="do not go together") as refused:
            chosen(parse(*argv, "status"))
        assert refused.value.code == exits.USAGE
    with pytest.raises(Refused, match="belong to --demo"):
        chosen(parse("--this-host", "status", "--seed", "1"))
    with pytest.raises(Refused, match="quiet"):
        chosen(parse("--demo", "--scenario", "loud", "status"))


def test_the_environment_names_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILTUI_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_path(parse("status")) is None
    missing = tmp_path / "none.yaml"
    monkeypatch.setenv("MAILTUI_CONFIG", str(missing))
    assert config_path(parse("status")) == missing  # not passed over in silence
    assert config_path(parse("status", "-c", "other.yaml")) == Path("other.yaml")


def test_scenarios_are_those_of_the_sandbox() -> None:
    from mailtui.sandbox.world import scenarios

    assert set(scenarios.names()) == set(SCENARIOS)


@pytest.mark.parametrize("verb", ["status", "get messages", "tail audit", "shot overview"])
def test_no_configuration_names_the_ways_to_go_on(verb: str) -> None:
    done = mailtui(*verb.split())
    assert done.returncode == exits.CONFIG
    assert not done.stdout
    word = verb.partition(" ")[0]
    assert f"mailtui --demo {word}" in done.stderr
    assert f"mailtui --this-host {word}" in done.stderr
    assert "mailtui config example > /nonexistent/.config/mailtui/config.yaml" in done.stderr


def test_without_a_terminal_the_console_names_verbs() -> None:
    for argv in ((), ("demo",)):
        done = mailtui(*argv)
        assert done.returncode == exits.USAGE
        assert "--demo status" in done.stderr


def test_an_unknown_context_names_the_valid_ones(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("contexts: {lab: {hosts: {here: {local: true}}}}")
    for verb in (["status"], ["get", "hosts"], ["shot", "overview"]):
        done = mailtui("-c", str(file), "--context", "production", *verb)
        assert done.returncode == exits.USAGE
        assert "'production'" in done.stderr
        assert "expected one of lab" in done.stderr


def test_every_problem_of_the_configuration_is_said(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("contexts:\n  lab:\n    hots: {}\n    color: pink\n")
    done = mailtui("status", "-c", str(file))
    assert done.returncode == exits.CONFIG
    assert f"{file}:3: contexts.lab.hots: unknown key; did you mean hosts?" in done.stderr
    assert f"{file}:4: contexts.lab.color: expected one of red" in done.stderr


def test_a_defect_is_told_from_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An exit code of 1 would read as "warning" to a monitoring system."""
    from mailtui.headless import status

    def broken(args: Any) -> int:
        raise ZeroDivisionError("boom")

    ended: list[int] = []
    monkeypatch.setattr(status, "run", broken)
    monkeypatch.setattr(cli, "leave", ended.append)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    cli.main(["--demo", "status"])
    assert ended == [exits.SOFTWARE]
    (report,) = (tmp_path / "mailtui").iterdir()
    assert "ZeroDivisionError: boom" in report.read_text()
    assert str(report) in capsys.readouterr().err


def test_a_full_disk_is_not_success() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    with full.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "mailtui", "config", "example"], stdout=out, check=False
        )
    assert done.returncode == exits.CANNOT_CREATE


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m mailtui config example | head -1; echo ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == "0"
    assert not done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mailtui import cli\ncli.parser().format_help()\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "argparse" in loaded
    heavy = {"textual", "rich", "pydantic", "yaml", "asyncio", "msgspec", "asyncssh", "aiohttp",
             "elasticsearch", "dataclasses", "inspect", "json", "subprocess"}  # fmt: skip
    assert not loaded & heavy


def test_documented_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \|", DOCS.read_text(), re.MULTILINE)
    defined = {value for name, value in vars(exits).items() if name.isupper()}
    assert {int(row) for row in rows} == defined
    named = {int(number) for number in re.findall(r"\b\d+\b", cli.EPILOG)}
    assert defined <= named


def test_every_verb_and_option_is_documented() -> None:
    text = DOCS.read_text()
    verbs = next(a for a in cli.parser()._actions if a.dest == "verb").choices
    assert set(verbs or ()) == set(cli.VERBS)
    from mailtui.screens import ORDER

    assert all(f"`{screen}`" in text for screen in ORDER)
    for verb, parser in (verbs or {}).items():
        assert f"## `mailtui {verb}`" in text, verb
        for action in parser._actions:
            for option in action.option_strings:
                if option.startswith("--") and option not in ("--help", "--output"):
                    assert option in text, f"{verb} {option}"
