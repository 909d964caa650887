"""deploy/sudoers: enough for the console (the contract tests pass with it), and not more."""

from __future__ import annotations

import pytest

from tests.lab.conftest import as_mailtui, on, until

pytestmark = pytest.mark.usefixtures("running")


@pytest.mark.parametrize(
    "command",
    [
        "fail2ban-client version",
        "fail2ban-client status",
        "fail2ban-client status postfix-sasl",
        "fail2ban-client get postfix-sasl bantime",
        "fail2ban-client get postfix-sasl findtime",
        "fail2ban-client get postfix-sasl maxretry",
        "fail2ban-client get postfix-sasl banip --with-time",
        "postqueue -j",
    ],
)
def test_what_the_console_runs_is_allowed(command: str) -> None:
    done = as_mailtui("mx1", f"sudo -n -- {command}")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("flags", ["-qe", "-qeh"])
async def test_a_message_can_be_looked_at(flags: str) -> None:
    deferred = 'postqueue -j | jq -sr \'map(select(.queue_name == "deferred"))[0].queue_id // ""\''
    queue_id = await until(lambda: on("mx1", deferred).strip())
    done = as_mailtui("mx1", f"sudo -n -- postcat {flags} {queue_id}")
    assert "ENVELOPE RECORDS" in done.stdout, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "/bin/sh",
        "cat /etc/shadow",
        "systemctl stop postfix",
        "postsuper -d ALL",
        "postsuper -h ALL",
        "postqueue -f",
        "postqueue -i 4bXk2Q7zWnz1Kp",
        "postqueue",
        "postqueue -j -c /tmp",
        "postcat /etc/shadow",
        "postcat -q 4bXk2Q7zWnz1Kp",
        "postcat -qeh",
        "postcat -qeh ../../../../etc/shadow",
        "postcat -qeh 4bXk2Q7zWnz1Kp /etc/shadow",
        "postcat -qebh 4bXk2Q7zWnz1Kp",
        "postcat -c /tmp -qeh 4bXk2Q7zWnz1Kp",
        "fail2ban-client",
        "fail2ban-client stop",
        "fail2ban-client unban --all",
        "fail2ban-client set postfix-sasl banip 192.0.2.1",
        "fail2ban-client set postfix-sasl unbanip 192.0.2.1",
        "fail2ban-client get postfix-sasl banip",
        "fail2ban-client get postfix-sasl logpath",
        "fail2ban-client get postfix-sasl bantime extra",
        "fail2ban-client -c /tmp status",
        "fail2ban-client -s /tmp/socket status",
        "fail2ban-client status -c",
        "fail2ban-client status postfix-sasl stop",
        "'fail2ban-client' 'status\nstop'",
        "fail2ban-client 'status postfix-sasl' stop",
        "-u postfix postqueue -j",
        "-s",
        "-e /etc/passwd",
    ],
)
def test_nothing_else_is(command: str) -> None:
    done = as_mailtui("mx1", f"sudo -n {command}")
    assert done.returncode != 0
    assert "password is required" in done.stderr or "not allowed" in done.stderr, done.stderr


def test_it_gives_nothing_beyond_its_own_lines() -> None:
    listed = as_mailtui("mx1", "sudo -n -l").stdout.partition("may run the following")[2]
    rules = [line for line in listed.splitlines() if line.strip().startswith("(")]
    assert len(rules) == 1
    assert rules[0].split() == ["(root)", "NOPASSWD:", *rules[0].split()[2:]]
    for command in rules[0].split("NOPASSWD: ")[1].split(", "):
        assert command.split()[0].rpartition("/")[2] in ("fail2ban-client", "postqueue", "postcat")
