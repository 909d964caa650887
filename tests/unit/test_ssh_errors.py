"""What an SSH error is called."""

from __future__ import annotations

import asyncssh
import pytest

from mailtui.config.settings import Ssh
from mailtui.connections.ssh_errors import translate
from mailtui.connections.ssh_options import Endpoint


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("SSH connection closed", "unreachable"), ("open failed", "server")],
)
def test_a_lost_connection_is_no_refused_channel(reason: str, kind: str) -> None:
    error = asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, reason)
    found = translate(error, Endpoint("mx1", "192.0.2.1", Ssh()), None)
    assert found is not None and found.kind == kind
