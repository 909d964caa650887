"""The configuration: every error at once with its place, secrets, durations, the example."""

from __future__ import annotations

import re
import typing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mailtui.config import example, load
from mailtui.config.base import format_duration, parse_duration
from mailtui.config.problems import ConfigError, ConfigProblem, UnknownContext
from mailtui.config.queries import QUERIES
from mailtui.config.secrets import Secret, SecretUnavailable
from mailtui.config.settings import Context, Settings
from mailtui.config.sources import elasticsearch, fail2ban, prometheus
from mailtui.headless import config as verb

ROOT = Path(__file__).parents[2]
PATH = Path("/etc/mailtui/config.yaml")


def problems(text: str) -> list[tuple[int, str, str]]:
    """Line, place and words of everything that is wrong with `text`."""
    with pytest.raises(ConfigError) as error:
        load.parse(text, PATH)
    assert all(p.file == PATH and p.severity == "problem" for p in error.value.problems)
    return [(p.line, p.where, p.message) for p in error.value.problems]


def only(text: str) -> tuple[int, str, str]:
    (problem,) = problems(text)
    return problem


def in_context(body: str) -> str:
    return "contexts:\n  a:\n    hosts: {h: {}}\n" + body


def in_prometheus(body: str) -> str:
    return in_context(f"    sources:\n      prometheus:\n        url: http://p:9090\n{body}")


# --- errors ---


def test_every_error_at_once_in_the_order_of_lines() -> None:
    found = problems(
        "contexts:\n"
        "  a:\n"
        "    color: pink\n"
        "    hosts:\n"
        "      mx1: {prot: 22}\n"
        "      mx2: {port: many}\n"
        "ui:\n"
        "  theem: dark\n"
    )
    assert [(line, where) for line, where, _ in found] == [
        (3, "contexts.a.color"),
        (5, "contexts.a.hosts.mx1.prot"),
        (6, "contexts.a.hosts.mx2.port"),
        (8, "ui.theem"),
    ]
    assert "expected one of red" in found[0][2]
    assert "did you mean port?" in found[1][2]
    assert "integer" in found[2][2]
    assert "did you mean theme?" in found[3][2]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 0, "the file is empty"),
        ("# nothing\n", 0, "the file is empty"),
        ("contexts: {}\n", 1, "at least 1"),
        ("contexts:\n  a: {}\n", 2, "at least one host or one source"),
        ("context: b\ncontexts:\n  a: {hosts: {h: {}}}\n", 1, "there is no context 'b'"),
        ("contexts:\n  a: [\n", 3, "not valid YAML"),
        ("contexts:\n\ta: {}\n", 2, "not valid YAML"),
        ("- a\n- b\n", 1, "keys with values"),
        ("contexts:\n  a: !!python/object/apply:os.system [id]\n", 2, "not valid YAML"),
        (in_prometheus("        timeout: 0\n"), 7, "greater than 0"),
        (in_prometheus("        timeout: 5 lightyears\n"), 7, "like 15s, 2m or 1h"),
        (in_prometheus("        queries: {mial_in: x}\n"), 7, "did you mean mail_in?"),
        (in_prometheus("        username: u\n"), 5, "go together"),
        (in_context("    sources: {rabitmq: {}}\n"), 4, "did you mean rabbitmq?"),
        (in_context("    sources: {rabbitmq: {}}\n"), 4, "required"),
    ],
)
def test_errors_have_a_line_and_say_what_was_expected(text: str, line: int, words: str) -> None:
    found = only(text)
    assert found[0] == line
    assert words in found[2]


def test_a_key_written_twice() -> None:
    found = only("contexts:\n  a:\n    hosts: {h: {}}\n    color: red\n    color: green\n")
    assert found == (5, "contexts.a.color", "this key is written twice")
    nested = problems("contexts:\n  a: {hosts: {h: {}, h: {port: 1}}}\n")
    assert [where for _, where, _ in nested] == ["contexts.a.hosts.h"]


def test_a_problem_is_one_line_with_file_and_line() -> None:
    with pytest.raises(ConfigError) as error:
        load.parse("contexts: {a: {hosts: {h: {}}, colour: red}}", PATH)
    assert str(error.value).startswith(
        f"{PATH}:1: contexts.a.colour: unknown key; did you mean color? (expected one of color, "
    )
    assert str(ConfigProblem(PATH, 0, "", "no such file")) == f"{PATH}: no such file"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load.load(tmp_path / "none.yaml")
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("contexts: {ä: {}}".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load.load(latin)


def test_an_unknown_context_names_the_valid_ones() -> None:
    settings = load.parse(in_context(""), PATH)
    assert settings.choose()[0] == settings.choose("a")[0] == "a"
    with pytest.raises(UnknownContext, match="no context 'b'; expected one of a"):
        settings.choose("b")


# --- secrets ---


@pytest.mark.parametrize("value", ["hunter2", "12345678", "3.14"])
def test_a_secret_in_the_file_is_refused_and_not_repeated(value: str) -> None:
    line, where, words = only(in_prometheus(f"        token: {value}\n"))
    assert (line, where) == (7, "contexts.a.sources.prometheus.token")
    assert "never written in this file" in words
    assert value not in words


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@p:9090", "http://hunter2@p:9090", "https://:hunter2@p/"]
)
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    line, where, words = only(in_context(f"    sources: {{prometheus: {{url: '{url}'}}}}\n"))
    assert (line, where) == (4, "contexts.a.sources.prometheus.url")
    assert "no user or password in a URL" in words
    assert "hunter2" not in words


@pytest.mark.parametrize("body", ["{}", "{env: A, file: b}", "{command: [a], env: B}"])
def test_a_secret_comes_from_exactly_one_place(body: str) -> None:
    assert "exactly one of env, file, command" in only(in_prometheus(f"        token: {body}\n"))[2]


def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("hunter2\n")
    file = tmp_path / "config.yaml"
    file.write_text(in_prometheus("        token: {file: token}\n"))
    for mode in (0o644, 0o640, 0o604):
        secret.chmod(mode)
        with pytest.raises(ConfigError) as error:
            load.load(file)
        (problem,) = error.value.problems
        assert problem.line == 7
        assert f"mode {mode:04o}" in problem.message
        assert f"chmod 600 {secret}" in problem.message
        with pytest.raises(SecretUnavailable):
            Secret(file=secret).reveal()
    secret.chmod(0o600)
    token = load.load(file).contexts["a"].source("prometheus", prometheus.Settings)
    assert token is not None
    assert token.token is not None
    assert token.token.reveal() == "hunter2"
    assert "hunter2" not in repr(token)


def test_a_secret_that_is_not_there_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILTUI_TEST_TOKEN", raising=False)
    for body, words in (
        ("{env: MAILTUI_TEST_TOKEN}", "MAILTUI_TEST_TOKEN is not set"),
        ("{file: none}", "No such file"),
        ("{command: [no-such-program, x]}", "no-such-program was not found"),
    ):
        text = in_prometheus(f"        token: {body}\n")
        path = tmp_path / "config.yaml"
        settings = load.parse(text, path)
        (warning,) = load.warnings(settings, text, path)
        assert (warning.line, warning.severity) == (7, "warning")
        assert words in warning.message
    monkeypatch.setenv("MAILTUI_TEST_TOKEN", "x")
    text = in_prometheus("        token: {env: MAILTUI_TEST_TOKEN}\n")
    assert load.warnings(load.parse(text, PATH), text, PATH) == []


def test_a_secret_of_a_command() -> None:
    assert Secret(command=("printf", "a\\nb\\n")).reveal() == "a"
    for command, words in (
        (("false",), "exit code 1"),
        (("true",), "printed nothing"),
        (("sleep", "5"), "TimeoutExpired"),
    ):
        with pytest.raises(SecretUnavailable, match=words):
            Secret(command=command, timeout="100ms").reveal()


# --- durations ---


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15s", 15),
        ("2m 30s", 150),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("7d", 604800),
        (3, 3),
        ("1h1m", 3660),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "s", "15 s x", "-1s", "0s", 0, -3, True, None, "1y", float("nan"), "1s,2m"]
)
def test_no_durations(text: Any) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.one_of(st.integers(1, 10**9), st.floats(0.001, 10**7)))
def test_a_duration_is_written_as_it_is_read(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=1e-5, abs=1e-6)


@given(st.integers(1, 10**9))
def test_whole_seconds_are_written_exactly(seconds: int) -> None:
    text = format_duration(seconds)
    assert re.fullmatch(r"\d+[dhms]", text)
    assert parse_duration(text) == seconds


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused(text: str) -> None:
    try:
        assert parse_duration(text) > 0
    except ValueError as error:
        assert "expected a duration" in str(error)


@given(st.lists(st.tuples(st.integers(1, 999), st.sampled_from("dhms")), min_size=1, max_size=4))
def test_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(parse_duration(f"{n}{u}") for n, u in parts)


# --- paths, sources ---


def test_relative_paths_start_at_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    text = in_context("    ssh: {known_hosts: [known_hosts, ~/.ssh/known_hosts, /etc/kh]}\n")
    settings = load.parse(text, tmp_path / "config.yaml")
    assert settings.contexts["a"].ssh.known_hosts == (
        tmp_path / "known_hosts",
        Path("/home/me/.ssh/known_hosts"),
        Path("/etc/kh"),
    )


def test_sources_of_hosts_are_on_by_themselves_and_can_be_turned_off() -> None:
    context = load.parse(in_context(""), PATH).contexts["a"]
    assert context.source("fail2ban", fail2ban.Settings) == fail2ban.Settings()
    assert context.source("elasticsearch", elasticsearch.Settings) is None
    off = in_context("    sources: {fail2ban: {enabled: false}}\n")
    assert load.parse(off, PATH).contexts["a"].source("fail2ban", fail2ban.Settings) is None


# --- the example ---


def models(kind: Any, seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """Every settings model that `kind` contains."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        for field in kind.model_fields.values():
            models(field.annotation, seen)
    for inner in typing.get_args(kind):
        models(inner, seen)
    return seen


def test_the_example_is_valid_and_shows_two_contexts() -> None:
    settings = load.parse(example.text(), PATH)
    colors = {name: context.color for name, context in settings.contexts.items()}
    assert colors == {"production": "red", "staging": "green"}
    assert settings.choose()[0] == "production"
    assert all(context.read_only and not context.simulation for _, context in colors_of(settings))


def colors_of(settings: Settings) -> list[tuple[str, Context]]:
    return list(settings.contexts.items())


def test_every_setting_occurs_in_the_example() -> None:
    text = example.text()
    found = models(Settings, set())
    assert {Secret, Context, elasticsearch.Fields} <= found
    for model in found:
        for name in model.model_fields:
            assert re.search(rf"(?<![\w-]){name}:", text), f"{model.__module__}: {name}"


def test_thresholds_and_limits_in_the_example_are_the_defaults() -> None:
    """What the example says of a source holds for one that says nothing."""
    sources = load.parse(example.text(), PATH).contexts["production"].sources
    for source in ("prometheus", "rabbitmq", "elasticsearch", "hosts", "postfix", "fail2ban"):
        settings = getattr(sources, source)
        for name, field in type(settings).model_fields.items():
            default = field.get_default(call_default_factory=True)
            if not field.is_required() and name not in (
                "username", "password", "token", "api_key", "roles",
            ):  # fmt: skip
                assert getattr(settings, name) == default, f"{source}.{name}"


def test_what_the_example_comments_out_is_valid_too(tmp_path: Path) -> None:
    """Every commented setting, one at a time, put in force."""
    for name in ("config", "known_hosts", "keys", "internal-ca.pem", "client.pem", "client.key"):
        (tmp_path / name).touch()
    lines = example.text().splitlines()
    tried = 0
    for number, line in enumerate(lines):
        if not (found := re.match(r"( +)# ([a-z_]+:.*)$", line)) or number < 20:
            continue
        block = [f"{found[1]}{found[2]}"]
        inner = re.compile(rf"{found[1]}#   ( *\S.*)$")
        after = number + 1
        while after < len(lines) and (more := inner.match(lines[after])):
            block.append(f"{found[1]}  {more[1]}")
            after += 1
        text = "\n".join([*lines[:number], *block, *lines[after:]])
        load.parse(text, tmp_path / "config.yaml")
        tried += 1
    assert tried >= 7


def test_the_example_at_the_top_is_the_packaged_one() -> None:
    assert (ROOT / "config.example.yaml").resolve() == ROOT / "mailtui" / "config.example.yaml"
    assert (ROOT / "config.example.yaml").read_text() == example.text()


# --- show ---


def test_what_is_shown_is_a_configuration_that_means_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILTUI_PROMETHEUS_PASSWORD", "hunter2")
    settings = load.parse(example.text(), PATH)
    text = "\n".join(verb.shown(settings, "example"))
    assert "hunter2" not in text
    again = load.parse(text, PATH)
    assert again.contexts["production"] != Context(hosts=settings.contexts["production"].hosts)
    for name, context in settings.contexts.items():
        assert again.contexts[name].hosts == context.hosts
        assert again.contexts[name].ssh == context.ssh
        for source in ("prometheus", "rabbitmq", "elasticsearch", "hosts", "postfix"):
            model = type(getattr(context.sources, source))
            if issubclass(model, BaseModel):
                assert getattr(again.contexts[name].sources, source) == getattr(
                    context.sources, source
                )
    tree = yaml.safe_load(text)
    assert tree["contexts"]["staging"]["sources"]["postfix"]["timeout"] == "1m"
    assert tree["contexts"]["production"]["sources"]["prometheus"]["password"] == {
        "env": "MAILTUI_PROMETHEUS_PASSWORD",
        "timeout": "10s",
    }
    for query in QUERIES:
        assert f"# production: {query}: " in text


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in pairwise("abcdefg")),
        "contexts: &a\n  t: *a\n",
    ],
    ids=["bomb", "itself"],
)
def test_aliases_without_end_are_refused(text: str) -> None:
    assert "alias" in only(text)[2]


@pytest.mark.parametrize("text", ["contexts: {{ name }}: 1\n", "? [a, b]\n: 1\n", "{a: 1}: 2\n"])
def test_a_key_that_is_no_text_is_a_problem_of_the_file(text: str) -> None:
    assert "YAML" in only(text)[2]


def test_an_alias_may_be_used_often() -> None:
    text = "contexts:\n  t:\n    hosts:\n      a: &h {roles: [mx]}\n      b: *h\n      c: *h\n"
    assert list(load.parse(text, PATH).contexts["t"].hosts) == ["a", "b", "c"]


def test_a_secrets_command_reads_no_keys_of_the_terminal() -> None:
    assert Secret(command=("sh", "-c", "read line || echo none")).reveal() == "none"


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ("hosts: {mx1: {address: '10.77.0.11:22'}}", "mx1.address", "its port goes under `port`"),
        ("hosts: {mx1: {roles: mx}}", "mx1.roles", "expected a list, like [one, two]"),
        ("hosts: {mx1: no}", "hosts.mx1", "expected keys with values below it"),
        (
            "sources: {prometheus: {url: 'http://p:9090/graph?x=1'}}",
            "prometheus.url",
            "without ? and #",
        ),
    ],
)
def test_a_mistake_is_told_in_our_words(tmp_path: Path, line: str, where: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(f"contexts:\n  a:\n    {line}\n")
    with pytest.raises(ConfigError) as caught:
        load.load(file)
    (problem,) = caught.value.problems
    assert problem.where.endswith(where)
    assert problem.line == 3
    assert words in problem.message


def test_what_is_hardly_meant_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    text = "contexts:\n  a:\n    ssh: {keys: [nokey]}\n    hosts:\n      mx1: {roles: [mxx, mx]}\n"
    file.write_text(text)
    found = load.warnings(load.load(file), text, file)
    assert [(w.line, w.severity) for w in found] == [(3, "warning"), (5, "warning")]
    assert found[0].message == f"{tmp_path / 'nokey'}: no such file"
    assert found[1].message.startswith("the role mxx asks for nothing; did you mean mx?")
