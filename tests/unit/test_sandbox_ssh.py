"""The sandbox's hosts over SSH, with asyncssh's client and with OpenSSH's."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from cryptography import x509

from mailtui.sandbox.faults import Faults
from mailtui.sandbox.ssh import MAX_SESSIONS, Server
from mailtui.sandbox.world import World
from mailtui.sandbox.world.mail import Message, Recipient

NOW = 1_795_000_000


class Platform:
    """A world, its sshd, and a key that opens it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.faults = Faults()
        self.server = Server(world, self.faults)
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.server.authorize(self.key.export_public_key().decode())

    def connect(self, host: str = "mx1", **options: object):
        options.setdefault("username", "mailtui")
        options.setdefault("client_keys", [self.key])
        return asyncssh.connect(
            "127.0.0.1",
            self.server.ports[host],
            known_hosts=asyncssh.import_known_hosts(self.server.known_hosts()),
            config=None,
            agent_path=None,
            **options,
        )

    async def run(self, command: str, host: str = "mx1", **options: object) -> tuple:
        async with self.connect(host) as connection:
            done = await connection.run(command, encoding=None, **options)
            return done.exit_status, done.stdout, done.stderr


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    platform = Platform(World(seed=3, now=NOW, frozen=True))
    await platform.server.start()
    yield platform
    await platform.server.stop()


# -- the server


async def test_streams_status_and_stdin_are_separate(platform: Platform) -> None:
    command = "cat; echo oops >&2; exit 7"
    assert await platform.run(command, input=b"in\xff") == (7, b"in\xff", b"oops\n")


async def test_batches_as_the_console_sends_them(platform: Platform) -> None:
    script = (
        "LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH; "
        'printf "\\n%s %s\\n" TOKEN 0; printf "\\n%s %s\\n" TOKEN 0 >&2; '
        "{ cat /etc/hostname /missing; } </dev/null; "
        'printf "\\n%s exit %s\\n" TOKEN $?; '
        'printf "\\n%s %s\\n" TOKEN 1; printf "\\n%s %s\\n" TOKEN 1 >&2; '
        "{ postqueue -p; } </dev/null; "
        'printf "\\n%s exit %s\\n" TOKEN $?;'
    )
    status, out, err = await platform.run(f"exec /bin/sh -c {shlex.quote(script)}")
    assert status == 0
    assert out.startswith(b"\nTOKEN 0\nmx1\n\nTOKEN exit 1\n\nTOKEN 1\n----Queue ID-----")
    assert out.endswith(b"Requests.\n\nTOKEN exit 0\n")
    assert err == b"\nTOKEN 0\ncat: /missing: No such file or directory\n\nTOKEN 1\n"


async def test_frames_on_standard_output_alone(platform: Platform) -> None:
    frame = "'\\nTOKEN %s %s\\n%s\\nTOKEN end\\n'"
    script = "LC_ALL=C PATH=$PATH:/usr/sbin:/sbin; export LC_ALL PATH; { " + " ".join(
        f'e=$({{ {command}; }} 2>&1 >&3 3>&- </dev/null); printf {frame} {number} $? "$e";'
        for number, command in enumerate(("cat /etc/hostname /missing", "nosuch", "sudo -n whoami"))
    )
    status, out, err = await platform.run(f"exec /bin/sh -c {shlex.quote(script + ' } 3>&1')}")
    assert (status, err) == (0, b"")
    assert out.decode() == (
        "mx1\n\nTOKEN 0 1\ncat: /missing: No such file or directory\nTOKEN end\n"
        "\nTOKEN 1 127\n/bin/sh: 1: nosuch: not found\nTOKEN end\n"
        "root\n\nTOKEN 2 0\n\nTOKEN end\n"
    )


async def test_channels_of_one_connection_run_at_once_up_to_maxsessions(
    platform: Platform,
) -> None:
    async with platform.connect() as connection:
        waiting = [await connection.create_process("cat") for _ in range(MAX_SESSIONS)]
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("true")
        for process in waiting:
            process.stdin.write("x")
            process.stdin.write_eof()
        done = [await process.wait() for process in waiting]
        assert [d.stdout for d in done] == ["x"] * MAX_SESSIONS
        assert (await connection.run("hostname")).stdout == "mx1\n"


async def test_only_the_authorised_key_of_the_right_user_opens(platform: Platform) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await platform.connect(client_keys=[other])
    with pytest.raises(asyncssh.PermissionDenied):
        await platform.connect(username="root")


async def test_every_host_has_its_own_key_and_answers_for_itself(platform: Platform) -> None:
    ports = platform.server.ports
    assert list(ports) == list(platform.world.hosts)
    keys = [line.split()[2] for line in platform.server.known_hosts().splitlines()]
    assert len(set(keys)) == len(ports)
    for host in ("mx2", "store1", "bk1"):
        assert (await platform.run("hostname", host))[1].decode() == f"{host}\n"


async def test_a_large_output_waits_for_a_slow_reader(platform: Platform) -> None:
    spool = platform.world.mail.spools["mx1"]
    reason = "host gmail-smtp-in.l.google.com[142.251.1.27] said: 421-4.7.0 " + "x" * 300
    for number in range(20_000):
        queue_id = spool.new_id(NOW, number)
        spool.messages[queue_id] = Message(
            queue_id, "deferred", NOW, 1000, "a@b", [Recipient("c@d", reason)], "t", "s"
        )
    expected = len(spool.messages)
    async with platform.connect() as connection:
        process = await connection.create_process("/usr/sbin/postqueue -j", encoding=None)
        count = size = 0
        while data := await process.stdout.read(1 << 16):
            count += data.count(b"\n")
            size += len(data)
        assert (await process.wait()).exit_status == 0
    assert count == expected
    assert size > 8_000_000


async def test_a_reader_that_leaves_ends_the_command(platform: Platform) -> None:
    connection = await platform.connect()
    await connection.create_process("sleep 3600")
    before = asyncio.all_tasks()
    await platform.server.stop()  # returns: nothing is left that it would wait for
    assert platform.server.connections == set()
    await connection.wait_closed()
    assert len(asyncio.all_tasks()) < len(before)


# -- faults


async def test_a_changed_host_key_is_refused_by_the_client(platform: Platform) -> None:
    known = asyncssh.import_known_hosts(platform.server.known_hosts())
    await platform.server.change_host_key("mx1")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await asyncssh.connect(
            "127.0.0.1",
            platform.server.ports["mx1"],
            username="mailtui",
            client_keys=[platform.key],
            known_hosts=known,
            config=None,
            agent_path=None,
        )


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("down", (OSError, asyncssh.Error)),
        ("html", asyncssh.Error),
        ("401", asyncssh.PermissionDenied),
    ],
)
async def test_faults_of_a_connection_spare_other_hosts(
    platform: Platform, kind: str, error: type[Exception]
) -> None:
    platform.faults.set("ssh:mx1", kind)
    with pytest.raises(error):
        await platform.connect()
    assert (await platform.run("hostname", "mx2"))[1] == b"mx2\n"
    platform.faults.clear("ssh:mx1")
    assert (await platform.run("hostname"))[1] == b"mx1\n"


async def test_a_hanging_host_accepts_and_says_nothing(platform: Platform) -> None:
    platform.faults.set("ssh:mx1", "hang")
    reader, writer = await asyncio.open_connection("127.0.0.1", platform.server.ports["mx1"])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.05)
    platform.faults.clear("ssh:mx1")
    assert await reader.read(1) == b""
    writer.close()


async def test_output_that_breaks_off_in_the_middle(platform: Platform) -> None:
    whole = (await platform.run("cat /etc/os-release"))[1]
    platform.faults.set("ssh:mx1", "truncated")
    status, out, _ = await platform.run("cat /etc/os-release")
    assert (status, out) == (0, whole[: len(whole) // 2])
    platform.faults.set("ssh:mx1", "cut")
    async with platform.connect() as connection:
        process = await connection.create_process("cat /etc/os-release", encoding=None)
        # a reset may reach the client as an end of file or as an error
        with contextlib.suppress(asyncssh.Error, OSError):
            assert whole.startswith(await process.stdout.read())
        await connection.wait_closed()
        assert process.exit_status is None


async def test_faults_of_commands(platform: Platform) -> None:
    async with platform.connect() as connection:
        platform.faults.set("ssh:mx1", "500", times=1)
        assert (await connection.run("hostname")).exit_status == 254
        platform.faults.set("ssh:mx1", "429", times=1)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.run("hostname")
        platform.faults.set("ssh:mx1", "hang", path="uptime")
        assert (await connection.run("hostname")).stdout == "mx1\n"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connection.run("uptime"), 0.05)
        platform.faults.clear()
        platform.faults.set("ssh:mx1", "slow", seconds=0.01)
        assert (await connection.run("hostname")).stdout == "mx1\n"
        platform.faults.set("ssh:mx1", "down", times=1)
        assert (await connection.run("hostname")).exit_status is None
        await connection.wait_closed()


# -- what the commands say


async def test_df_agrees_with_the_world(platform: Platform) -> None:
    _, out, _ = await platform.run("df -PT -B1", "store1")
    head, *rows = out.decode().splitlines()
    assert head.split() == [
        "Filesystem", "Type", "1-blocks", "Used", "Available", "Capacity", "Mounted", "on",
    ]  # fmt: skip
    mounts = platform.world.hosts["store1"].mounts
    assert [row.split()[6] for row in rows] == [m.target for m in mounts]
    for row, mount in zip(rows, mounts, strict=True):
        _, kind, size, used, available, percent, _ = row.split()
        assert (kind, int(size)) == (mount.fstype, mount.size)
        assert 0 <= mount.used - int(used) < 4096
        assert 0 <= mount.available - int(available) < 4096
        share = int(used) / (int(used) + int(available))
        assert share <= int(percent[:-1]) / 100 < share + 0.01


async def test_df_prints_as_coreutils_does(platform: Platform) -> None:
    host = platform.world.hosts["mx1"]
    host.mounts = host.mounts[:1]
    mount = host.mounts[0]
    mount.source, mount.fstype = "lab-mx1", "overlay"
    mount.size, mount.used, mount.reserved = 201326592, 13107200.0, 0
    mount.inodes, mount.inodes_used = 3085457, 1055.0
    # captured on Debian 12
    assert await platform.run("df -PT -B1") == (
        0,
        b"Filesystem     Type     1-blocks     Used Available Capacity Mounted on\n"
        b"lab-mx1        overlay 201326592 13107200 188219392       7% /\n",
        b"",
    )
    assert await platform.run("df -PkT / /nosuch") == (
        1,
        b"Filesystem     Type    1024-blocks  Used Available Capacity Mounted on\n"
        b"lab-mx1        overlay      196608 12800    183808       7% /\n",
        b"df: /nosuch: No such file or directory\n",
    )
    assert await platform.run("df -iPT") == (
        0,
        b"Filesystem     Type     Inodes IUsed   IFree IUse% Mounted on\n"
        b"lab-mx1        overlay 3085457  1055 3084402    1% /\n",
        b"",
    )
    assert await platform.run("df -h -x overlay") == (1, b"", b"df: no file systems processed\n")


async def test_systemctl_show_on_debian_12_and_13(platform: Platform) -> None:
    unit = platform.world.hosts["mx1"].units["fail2ban.service"]
    unit.since = float(NOW)
    command = (
        "systemctl show --timestamp=unix -p Id,LoadState,ActiveState,SubState,Result,"
        "ActiveEnterTimestamp,NRestarts fail2ban nosuch.service"
    )
    # captured on Debian 12; the properties come in the order of D-Bus
    expected = (
        b"Result=success\nNRestarts=0\nId=fail2ban.service\nLoadState=loaded\n"
        b"ActiveState=active\nSubState=running\nActiveEnterTimestamp=@1795000000\n\n"
        b"Result=success\nNRestarts=0\nId=nosuch.service\nLoadState=not-found\n"
        b"ActiveState=inactive\nSubState=dead\nActiveEnterTimestamp=\n"
    )
    assert await platform.run(command) == (0, expected, b"")
    ids = "systemctl show -p Id,SubState postfix.service postfix@-.service"
    assert (await platform.run(ids))[1] == (
        b"Id=postfix.service\nSubState=exited\n\nId=postfix@-.service\nSubState=running\n"
    )
    assert (await platform.run(ids, "mx2"))[1] == (
        b"Id=postfix.service\nSubState=running\n\nId=postfix.service\nSubState=running\n"
    )


async def test_failed_units(platform: Platform) -> None:
    host = platform.world.hosts["mx1"]
    assert (await platform.run("systemctl is-system-running"))[:2] == (0, b"running\n")
    host.units["clamav-daemon.service"].fail(NOW, "exit-code")
    _, out, _ = await platform.run("systemctl list-units --state=failed --plain --no-legend")
    assert out == b"clamav-daemon.service loaded failed failed Clam AntiVirus userspace daemon\n"
    _, out, _ = await platform.run("systemctl list-units --state=failed -o json")
    assert json.loads(out)[0]["unit"] == "clamav-daemon.service"
    status, out, _ = await platform.run("systemctl is-active ssh nosuch clamav-daemon")
    assert (status, out) == (0, b"active\ninactive\nfailed\n")
    assert (await platform.run("systemctl is-active clamav-daemon"))[0] == 3
    assert (await platform.run("systemctl is-system-running"))[:2] == (1, b"degraded\n")


async def test_served_certificates_are_real(platform: Platform) -> None:
    described = platform.world.hosts["mx1"].certificates[0]
    command = "openssl s_client -connect 127.0.0.1:25 -starttls smtp </dev/null"
    status, out, err = await platform.run(command)
    assert status == 0
    assert err.endswith(b"DONE\n")
    cert = x509.load_pem_x509_certificate(re.search(b"-----BEGIN.*?END CERT.*?-\n", out, re.S)[0])
    assert int(cert.not_valid_after_utc.timestamp()) == int(described.not_after)
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert tuple(names.get_values_for_type(x509.DNSName)) == described.names
    assert (await platform.run(command))[1] == out
    status, out, _ = await platform.run(f"{command} 2>&1 | openssl x509 -noout -enddate -subject")
    assert out.startswith(b"notAfter=")
    assert out.endswith(f"subject=CN = {described.subject}\n".encode())


async def test_openssl_says_why_there_is_no_certificate(platform: Platform) -> None:
    status, out, err = await platform.run("openssl s_client -connect 127.0.0.1:4 </dev/null")
    assert (status, out) == (1, b"")
    assert err.endswith(b"connect:errno=111\n")
    status, out, err = await platform.run("openssl s_client -connect 127.0.0.1:25 </dev/null")
    assert status == 1
    assert b"no peer certificate available" in out
    assert b"wrong version number" in err
    platform.world.hosts["mx1"].units["postfix@-.service"].stop(NOW)
    status, _, err = await platform.run("openssl s_client -connect 127.0.0.1:465 </dev/null")
    assert status == 1
    assert b"Connection refused" in err


async def test_the_queue_as_json_is_the_queue_of_the_world(platform: Platform) -> None:
    spool = platform.world.mail.spools["mx1"]
    hostile = Message(
        spool.new_id(NOW, 1),
        "hold",
        NOW,
        77,
        "",
        [
            Recipient("b\udcff\udcfe@example.net", 'said: "no\\" \x1b]52;c;x\x07 [/b]\n'),
            Recipient("c"),
        ],
        "t",
        "s",
    )
    spool.messages[hostile.queue_id] = hostile
    status, out, _ = await platform.run("exec /bin/sh -c 'PATH=$PATH:/sbin; exec postqueue -j'")
    assert status == 0
    lines = out.splitlines()
    assert len(lines) == len(spool.messages)
    raw = next(line for line in lines if hostile.queue_id.encode() in line)
    assert raw == (
        b'{"queue_name": "hold", "queue_id": "%s", "arrival_time": 1795000000, '
        b'"message_size": 77, "forced_expire": false, "sender": "MAILER-DAEMON", "recipients": '
        b'[{"address": "b\xff\xfe@example.net", "delay_reason": '
        b'"said: \\"no\\\\\\" \\u001B]52;c;x\\u0007 [/b]\\n"}, {"address": "c"}]}'
        % hostile.queue_id.encode()
    )
    for line in lines:
        read = json.loads(line.decode("utf-8", "surrogateescape"))
        message = spool.messages[read["queue_id"]]
        assert read["sender"] == (message.sender or "MAILER-DAEMON")
        assert [r["address"] for r in read["recipients"]] == [r.address for r in message.recipients]
        assert [r.get("delay_reason", "") for r in read["recipients"]] == [
            r.delay_reason for r in message.recipients
        ]


async def test_the_queue_for_people(platform: Platform) -> None:
    spool = platform.world.mail.spools["mx1"]
    spool.messages.clear()
    assert (await platform.run("mailq"))[1] == b"Mail queue is empty\n"
    reason = "connect to blackhole.example.net[10.77.0.106]:25: No route to host"
    for queue_id, queue, recipients in (
        ("4jYh7c0M30zLF", "deferred", [Recipient("user009@blackhole.example.net", reason)]),
        ("4jYh7c19KvzMh", "active", [Recipient("user011@slow.example.net")]),
    ):
        spool.messages[queue_id] = Message(
            queue_id, queue, 1795481292, 476, "news@dept1.example.org", recipients, "t", "s"
        )
    # the first message as captured on Debian 12
    assert (await platform.run("/usr/sbin/postqueue -p"))[1].decode() == (
        "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n"
        "4jYh7c19KvzMh*         476 Tue Nov 24 00:48:12 news@dept1.example.org\n"
        "                                               user011@slow.example.net\n"
        "\n"
        "4jYh7c0M30zLF          476 Tue Nov 24 00:48:12 news@dept1.example.org\n"
        f"          ({reason})\n"
        "                                               user009@blackhole.example.net\n"
        "\n-- 0 Kbytes in 2 Requests.\n"
    )


async def test_postfix_that_is_down(platform: Platform) -> None:
    platform.world.hosts["mx1"].units["postfix@-.service"].stop(NOW)
    assert await platform.run("/usr/sbin/postqueue -j") == (
        69,
        b"",
        b"/usr/sbin/postqueue: fatal: Queue report unavailable - mail system is down "
        b"(Connect to the Postfix showq service: Connection refused)\n",
    )
    status, out, err = await platform.run("sudo -n postqueue -j")
    assert status == 0
    assert len(out.splitlines()) == len(platform.world.mail.spools["mx1"].messages)
    assert err.startswith(b"postqueue: warning: Mail system is down -- accessing queue directly")


async def test_one_message_and_parameters(platform: Platform) -> None:
    message = next(iter(platform.world.mail.spools["mx1"].messages.values()))
    message.sasl_username = "bob@example.org"
    status, out, _ = await platform.run(f"sudo -n postcat -qe {message.queue_id}")
    assert status == 0
    assert b"named_attribute: sasl_username=bob@example.org\n" in out
    status, _, err = await platform.run(f"/usr/sbin/postcat -qe {message.queue_id}")
    assert status == 1
    assert err.endswith(b"Permission denied\n")
    assert await platform.run("/usr/sbin/postconf -h mail_version enable_long_queue_ids nope") == (
        0,
        b"3.7.11\nyes\n",
        b"/usr/sbin/postconf: warning: nope: unknown parameter\n",
    )


async def test_the_age_of_the_queue_by_domain(platform: Platform) -> None:
    spool = platform.world.mail.spools["mx1"]
    spool.messages.clear()
    for age, domain in ((60, "a.example"), (7 * 60, "a.example"), (90_000, "b.example")):
        queue_id = spool.new_id(NOW - age, 5)
        spool.messages[queue_id] = Message(
            queue_id, "deferred", NOW - age, 1, "x@y", [Recipient(f"r@{domain}")], "t", "s"
        )
    status, out, _ = await platform.run("sudo -n qshape deferred")
    rows = [line.split() for line in out.decode().splitlines()]
    assert status == 0
    assert rows == [
        ["T", "5", "10", "20", "40", "80", "160", "320", "640", "1280", "1280+"],
        ["TOTAL", "3", "1", "1", "0", "0", "0", "0", "0", "0", "0", "1"],
        ["a.example", "2", "1", "1", "0", "0", "0", "0", "0", "0", "0", "0"],
        ["b.example", "1", "0", "0", "0", "0", "0", "0", "0", "0", "0", "1"],
    ]
    assert {len(line) for line in out.decode().splitlines()} == {80}


async def test_fail2ban_agrees_with_the_world(platform: Platform) -> None:
    jails = platform.world.bans.hosts["mx1"].jails
    sshd = jails["sshd"]
    for address in list(sshd.bans):
        del sshd.bans[address]
    sshd.failures.clear()
    sshd.total_failed, sshd.total_banned, sshd.ban_time = 13, 0, 28800.0
    sshd.history.clear()
    sshd.file_list = ("/var/log/auth.log",)
    sshd.ban("203.0.113.41", 1795521477.0)
    sshd.ban("203.0.113.40", 1795521475.0)
    sshd.ban_time = -1
    sshd.ban("198.51.100.0/24", 1795521000.0)
    client = "sudo -n fail2ban-client"
    names = ", ".join(sorted(jails))
    status, out, _ = await platform.run(f"{client} status")
    assert (status, out.decode()) == (
        0,
        f"Status\n|- Number of jail:\t{len(jails)}\n`- Jail list:\t{names}\n",
    )
    assert (await platform.run(f"{client} status sshd"))[1].decode() == (
        "Status for the jail: sshd\n|- Filter\n|  |- Currently failed:\t0\n"
        "|  |- Total failed:\t13\n|  `- File list:\t/var/log/auth.log\n`- Actions\n"
        "   |- Currently banned:\t3\n   |- Total banned:\t3\n"
        "   `- Banned IP list:\t203.0.113.40 203.0.113.41 198.51.100.0/24\n"
    )
    # lines captured from fail2ban 1.0.2
    assert (await platform.run(f"{client} get sshd banip --with-time"))[1].decode() == (
        "203.0.113.40 \t2026-11-24 11:57:55 + 28800 = 2026-11-24 19:57:55\n"
        "203.0.113.41 \t2026-11-24 11:57:57 + 28800 = 2026-11-24 19:57:57\n"
        "198.51.100.0/24 \t2026-11-24 11:50:00 + -1 = 9999-12-31 23:59:59\n"
    )
    assert (await platform.run(f"{client} banned 203.0.113.40 192.0.2.254"))[1] == (
        b"[['sshd'], []]\n"
    )
    assert (await platform.run(f"{client} get sshd bantime"))[1] == b"-1\n"
    assert (await platform.run(f"{client} ping"))[1] == b"Server replied: pong\n"
    status, out, err = await platform.run(f"{client} status nosuch")
    assert (status, out) == (255, b"Sorry but the jail 'nosuch' does not exist\n")
    assert err.endswith(b"ERROR   NOK: ('nosuch',)\n")


async def test_fail2ban_needs_root_and_may_be_down_or_absent(platform: Platform) -> None:
    status, out, err = await platform.run("fail2ban-client status")
    assert (status, out) == (255, b"")
    assert err.endswith(
        b"ERROR   Permission denied to socket: /var/run/fail2ban/fail2ban.sock, "
        b"(you must be root)\n"
    )
    platform.world.hosts["mx1"].units["fail2ban.service"].stop(NOW)
    status, _, err = await platform.run("sudo -n fail2ban-client status")
    assert status == 255
    assert err.endswith(b"Is fail2ban running?\n")
    assert (await platform.run("fail2ban-client status", "db1"))[0] == 127


async def test_files_and_small_tools(platform: Platform) -> None:
    host = platform.world.hosts["mx2"]
    _, out, _ = await platform.run("cat /etc/os-release; nproc; uname -r; date +%s; id -u", "mx2")
    lines = out.decode().splitlines()
    assert lines[0] == 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"'
    assert lines[-4:] == [str(host.cpus), host.kernel, str(NOW), "1000"]
    _, out, _ = await platform.run("cat /proc/meminfo | grep -E '^Mem(Total|Available):'", "mx2")
    sizes = [int(line.split()[1]) for line in out.splitlines()]
    assert sizes[0] == host.memory_total // 1024
    assert 0 <= host.memory_available // 1024 - sizes[1] < 4
    _, out, _ = await platform.run("cat /proc/uptime /proc/loadavg", "mx2")
    up, load = out.decode().splitlines()
    assert float(up.split()[0]) == pytest.approx(NOW - host.boot_time)
    assert load.split()[:3] == [f"{value:.2f}" for value in host.load]


# -- OpenSSH


@pytest.mark.skipif(not shutil.which("ssh"), reason="no OpenSSH client here")
async def test_openssh_works_and_checks_the_key(platform: Platform, tmp_path: Path) -> None:
    key, known = tmp_path / "key", tmp_path / "known_hosts"
    platform.key.write_private_key(str(key))
    key.chmod(0o600)
    known.write_text(platform.server.known_hosts())

    async def ssh(*words: str) -> subprocess.CompletedProcess:
        return await asyncio.to_thread(
            subprocess.run,
            [
                "ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}",
                "-o", "IdentityAgent=none", "-o", "IdentitiesOnly=yes", "-i", str(key),
                "-p", str(platform.server.ports["mx1"]), *words,
            ],
            capture_output=True,
            input=b"to cat\n",
            timeout=30,
            check=False,
        )  # fmt: skip

    done = await ssh("mailtui@127.0.0.1", "cat; hostname; echo e >&2; exit 9")
    assert (done.returncode, done.stdout, done.stderr) == (9, b"to cat\nmx1\n", b"e\n")
    await platform.server.change_host_key("mx1")
    done = await ssh("mailtui@127.0.0.1", "hostname")
    assert done.returncode == 255
    assert b"REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr


async def test_an_interactive_shell_answers_line_by_line(platform: Platform) -> None:
    async with platform.connect() as connection:
        process = await connection.create_process(term_type="xterm")
        greeting = await process.stdout.readuntil("mailtui@mx1:~$ ")
        assert "simulated" in greeting
        process.stdin.write("hostnamee\x7f; false\r")
        assert "\r\nmx1\r\n" in await process.stdout.readuntil("mailtui@mx1:~$ ")
        process.stdin.write("exit\r")
        assert (await process.wait()).exit_status == 1
