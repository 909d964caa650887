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


@pytest.mark.parametrize("arguments", ["-h -", "-H -", "-r -", "-r - hold", "-f -", "-f - hold",
                                       "-d - hold"])  # fmt: skip
def test_messages_can_be_acted_on(arguments: str) -> None:
    done = as_mailtui("mx1", f"sudo -n -- postsuper {arguments}", "4zzzzzzzzzzzz1\n")
    assert done.returncode == 0, done.stderr
    assert ": 0 messages" in done.stderr


def test_suspended_destinations_can_be_listed() -> None:
    done = as_mailtui("mx1", "sudo -n -- /usr/local/sbin/mailtui-suspend", "list\n")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("flags", ["-q", "-qe", "-qeh"])
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
        "postsuper -d -",
        "postsuper -d - deferred",
        "postsuper -d - hold incoming",
        "postsuper -d ALL",
        "postsuper -d ALL hold",
        "postsuper -r ALL",
        "postsuper -c /tmp -h -",
        "postsuper -h 4bXk2Q7zWnz1Kp",
        "postsuper -s",
        "xargs -r -n1 postqueue -i",
        "postsuper -h ALL",
        "postqueue -f",
        "postqueue -i 4bXk2Q7zWnz1Kp",
        "postqueue",
        "postqueue -j -c /tmp",
        "/usr/local/sbin/mailtui-suspend list",
        "postcat /etc/shadow",
        "postcat -q",
        "postcat -q 4bXk2Q7zWnz1Kp /etc/shadow",
        "postcat -q ../../../../etc/shadow",
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


PEEK = "rabbitmq-queues peek -s --vhost mail --formatter json"


def test_a_message_of_the_broker_can_be_read() -> None:
    done = as_mailtui("mon1", f"sudo -n -- {PEEK} mail.dead 999")
    assert "does not have a message at that position" in done.stderr, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        f"{PEEK} mail.dead 1 2",
        f"{PEEK} mail.dead -1",
        f"{PEEK} -n rabbit@elsewhere mail.dead 1",
        f"{PEEK} --formatter=json mail.dead 1",
        "rabbitmq-queues",
        "rabbitmq-queues peek mail.dead 1",
        "rabbitmq-queues delete_member --vhost mail mail.dead rabbit@mon1",
        "rabbitmq-queues shrink rabbit@mon1",
        "rabbitmqctl -p mail purge_queue mail.dead",
        "rabbitmqctl eval 1.",
    ],
)
def test_nothing_else_of_the_broker_can(command: str) -> None:
    done = as_mailtui("mon1", f"sudo -n -- {command}")
    assert done.returncode != 0
    assert "password is required" in done.stderr or "not allowed" in done.stderr, done.stderr


def test_it_gives_nothing_beyond_its_own_lines() -> None:
    listed = as_mailtui("mx1", "sudo -n -l").stdout.partition("may run the following")[2]
    rules = [line for line in listed.splitlines() if line.strip().startswith("(")]
    assert len(rules) == 1
    assert rules[0].split() == ["(root)", "NOPASSWD:", *rules[0].split()[2:]]
    for command in rules[0].split("NOPASSWD: ")[1].split(", "):
        assert command.split()[0].rpartition("/")[2] in (
            *("fail2ban-client", "postqueue", "postcat", "postsuper", "mailtui-suspend"),
            "rabbitmq-queues",
        )
