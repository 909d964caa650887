"""What the backup is for: lost mail comes back from bk1."""

from __future__ import annotations

import json

import pytest

from tests.lab.conftest import on, until

pytestmark = pytest.mark.usefixtures("running")

BORG = "set -a; . /etc/borg.env; cd /var/tmp/restore; borg --lock-wait 120"
LOST = "/var/vmail/example.org/ann/Maildir/cur/1795000000.lost:2,S"


async def test_a_message_that_was_lost_comes_back() -> None:
    await until(lambda: on("store1", f"ls -d '{LOST.rpartition('/')[0]}'", check=False))
    # a backup that runs already may have passed that folder
    await until(lambda: "activating" not in on("store1", "systemctl show -P ActiveState backup"))
    on(
        "store1",
        f"mkdir -p /var/tmp/restore; printf 'Subject: lost\\n\\n\u2709\\n' > '{LOST}';"
        f" systemctl start backup && rm '{LOST}'",
    )
    try:
        archives = json.loads(on("store1", f"{BORG} list --json"))["archives"]
        assert archives
        newest = archives[-1]["name"]
        listed = on("store1", f"{BORG} list --json-lines ::{newest} '{LOST[1:]}'")
        assert json.loads(listed)["path"] == LOST[1:]
        on("store1", f"{BORG} extract ::{newest} '{LOST[1:]}'")
        assert on("store1", f"cat '/var/tmp/restore{LOST}'") == "Subject: lost\n\n\u2709\n"
        on("store1", f"{BORG} check")
        assert on("bk1", "stat -c %U /srv/borg/mail/config").strip() == "borg"
    finally:
        on("store1", "rm -rf /var/tmp/restore")
