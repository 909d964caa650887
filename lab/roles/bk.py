"""Borg over ssh: bk1 keeps the repository, store1 sends its mail there."""

from __future__ import annotations

from lab import keys, machine
from lab.host import Host

_REPOSITORY = "ssh://borg@{server}/srv/borg/mail"


def configure(host: Host) -> None:
    """The user `borg`, who can do nothing but serve the repository."""
    machine.run("chroot", str(host.root), "useradd", "-r", "-U", "-d", "/srv/borg", "borg")
    host.folder("/srv/borg", 0o700, "borg:borg")
    allowed = 'command="borg serve --restrict-to-path /srv/borg",restrict '
    host.folder("/srv/borg/.ssh", 0o700, "borg:borg")
    host.write(
        "/srv/borg/.ssh/authorized_keys",
        f"{allowed}{keys.public('backup')}\n",
        0o600,
        "borg:borg",
    )


def client(host: Host) -> None:
    """The backup of this host's mail: `backup.service`, by a timer every hour."""
    server = host.plan.having("bk")[0]
    host.write("/root/.ssh/backup", keys.read("backup"), 0o600)
    host.write(
        "/root/.ssh/known_hosts", f"{server.name} {keys.public(f'host-{server.name}')}\n", 0o600
    )
    host.write(
        "/etc/borg.env",
        f"BORG_REPO={_REPOSITORY.format(server=server.name)}\n"
        "BORG_RSH='ssh -i /root/.ssh/backup'\nBORG_PASSPHRASE=lab-backup\n"
        "BORG_BASE_DIR=/var/lib/borg\n",
        0o600,
    )
    host.write(
        "/etc/systemd/system/backup.service",
        "[Unit]\nDescription=Backup of all mail\n[Service]\nType=oneshot\n"
        "EnvironmentFile=/etc/borg.env\n"
        "ExecStartPre=-/usr/bin/borg init --encryption=repokey-blake2\n"
        "ExecStart=/usr/bin/borg create --compression=zstd,3 ::{utcnow} /var/vmail\n",
    )
    host.write(
        "/etc/systemd/system/backup.timer",
        "[Timer]\nOnBootSec=60\nOnUnitActiveSec=1h\n[Install]\nWantedBy=timers.target\n",
    )
    host.enable("backup.timer")
