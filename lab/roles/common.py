"""What every host has: names, ssh with a key for the console, logs, metrics, certificates."""

from __future__ import annotations

from pathlib import Path

from lab import keys
from lab.host import Host

SUDOERS = Path(__file__).resolve().parents[2] / "deploy" / "sudoers"
"""The product's own file; the console's user is called mailtui there too."""
_FILES = "^(proc|sysfs|cgroup2?|devpts|devtmpfs|mqueue|nsfs|tmpfs)$"


def configure(host: Host) -> None:
    """Names, keys, sshd, sudo, rsyslog, node_exporter."""
    plan = host.plan
    names = [f"{one.address} {one.name} {one.name}.{plan.domain}" for one in plan.hosts.values()]
    names += [f"{one['address']} {name}" for name, one in plan.destinations.items()]
    host.write("/etc/hosts", "\n".join(["127.0.0.1 localhost", "::1 localhost", *names, ""]))
    host.write("/etc/hostname", f"{host.name}\n")
    host.write("/etc/resolv.conf", "")

    host.write("/etc/ssh/ssh_host_ed25519_key", keys.read(f"host-{host.name}"), 0o600)
    host.write(
        "/etc/ssh/sshd_config.d/lab.conf", "HostKey /etc/ssh/ssh_host_ed25519_key\nUseDNS no\n"
    )
    host.folder("/home/mailtui/.ssh", 0o700, "mailtui:mailtui")
    host.write(
        "/home/mailtui/.ssh/authorized_keys",
        f"{keys.public('console')}\n",
        0o600,
        "mailtui:mailtui",
    )
    host.write("/etc/sudoers.d/mailtui", SUDOERS.read_text(), 0o440)

    host.write("/etc/ssl/lab/host.crt", keys.read(f"{host.name}.crt"))
    host.write("/etc/ssl/lab/host.key", keys.read(f"{host.name}.key"), 0o600)
    host.write("/etc/ssl/lab/ca.crt", keys.read("ca.crt"))

    units = "postfix|fail2ban|ssh|dovecot|rabbitmq|prometheus|patroni|etcd|clamav|spamd|search"
    host.write(
        "/etc/default/prometheus-node-exporter",
        f'ARGS="--collector.filesystem.fs-types-exclude={_FILES} --collector.systemd'
        f' --collector.systemd.unit-include=({units}).*"\n',
    )
    host.write("/etc/systemd/journald.conf.d/lab.conf", "[Journal]\nStorage=volatile\n")
    host.enable("ssh.service", "dbus.socket", "rsyslog.service")
    if "world" not in host.roles:
        host.enable("prometheus-node-exporter.service")
    if "mx" not in host.roles:
        # as on a host on which these packages were never installed
        tools = ("usr/sbin/postqueue", "usr/sbin/postcat", "usr/bin/fail2ban-client")
        host.remove(*tools)


def started(host: Host) -> None:
    """sshd answers."""
    host.wait_port(22)
