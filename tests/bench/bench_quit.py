"""From the quit key to the end of the process, while every source hangs after connecting."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path

from tests.bench.figures import Figure, spread
from tests.bench.terminal import MAILTUI, Terminal

ROUNDS = 7
TARGET = 0.3
CONFIGURATION = """
context: hanging
contexts:
  hanging:
    hosts:
      mx1: {{address: 127.0.0.1, port: {port}, roles: [mx]}}
    ssh: {{user: mailtui, use_config: false, agent: false}}
    sources:
      prometheus: {{url: "http://127.0.0.1:{port}"}}
      rabbitmq: {{url: "http://127.0.0.1:{port}", username: mailtui, password: {{file: {secret}}}}}
      elasticsearch: {{urls: ["http://127.0.0.1:{port}"]}}
"""


def main(rounds: int = ROUNDS) -> list[Figure]:
    """Seconds, in the worst round."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as name, socket.socket() as silent:
        # the kernel accepts, nobody answers
        silent.bind(("127.0.0.1", 0))
        silent.listen(128)
        secret, configuration = Path(name, "secret"), Path(name, "config.yaml")
        secret.write_text("secret")
        secret.chmod(0o600)
        port = silent.getsockname()[1]
        configuration.write_text(CONFIGURATION.format(port=port, secret=secret))
        configuration.chmod(0o600)
        for _ in range(rounds):
            with Terminal((*MAILTUI, "-c", str(configuration))) as terminal:
                terminal.wait_text("prometheus")
                terminal.watch(1.5)
                terminal.send("q")
                taken.append(terminal.wait_end(10.0))
    worst = max(taken)
    return [
        Figure(
            "quit while every source hangs, worst of " + str(rounds),
            spread(taken, 1000, " ms"),
            None,
            "<= 300 ms",
            worst <= TARGET,
        )
    ]


if __name__ == "__main__":
    from tests.bench.figures import table

    print(table(main()))
