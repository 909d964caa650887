"""The sandbox's process: `python -m mailtui.sandbox.main`, and `mailtui sandbox`.

With `--parent` it prints one line of JSON when everything answers, and ends when its standard input
does, so that it cannot outlive the console that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailtui.sandbox.platform import Platform

DEFAULT_SCENARIO = "destination-deferred"


def _options() -> argparse.ArgumentParser:
    from mailtui.sandbox.world import scenarios

    options = argparse.ArgumentParser(
        prog="mailtui sandbox",
        description="An embedded mail platform that speaks the real protocols on loopback.",
    )
    options.add_argument(
        "--scenario",
        choices=scenarios.names(),
        default=DEFAULT_SCENARIO,
        metavar="S",
        help=f"what goes wrong: {', '.join(scenarios.names())} (default: %(default)s)",
    )
    options.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    options.add_argument("--hosts", type=int, metavar="N", help="how many hosts (default: 7)")
    options.add_argument(
        "--directory", type=Path, metavar="D", help="where the configuration goes; default: new"
    )
    options.add_argument("--ready-fd", type=int, metavar="FD", help="write the ready line there")
    options.add_argument(
        "--parent", action="store_true", help="end with standard input; the ready line is JSON"
    )
    return options


def run(argv: list[str] | None = None) -> int:
    """Run until it is told to stop. Exit codes: 0 stopped, 1 could not start, 2 usage."""
    options = _options().parse_args(argv)
    if options.hosts is not None and not 1 <= options.hosts <= 200:
        print("mailtui sandbox: --hosts: expected 1 to 200", file=sys.stderr)
        return 2
    # aiohttp reads the system's CA certificates when it is imported; nothing here verifies any
    os.environ["SSL_CERT_FILE"], os.environ["SSL_CERT_DIR"] = os.devnull, os.devnull
    # what is made until everything answers stays: collecting meanwhile only costs time
    gc.disable()
    with suppress(KeyboardInterrupt):
        return asyncio.run(_serve(options))
    return 0


async def _serve(options: argparse.Namespace) -> int:
    from mailtui.sandbox.platform import Platform
    from mailtui.sandbox.world import World

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    if options.parent:
        _end_with_input(loop, stop)
    world = World(options.seed, options.scenario, hosts=options.hosts)
    directory = options.directory
    temporary = directory is None
    if directory is None:
        directory = Path(tempfile.mkdtemp(prefix="mailtui-sandbox-"))
    platform = Platform(world, directory.absolute())
    try:
        await platform.start()
        gc.freeze()
        gc.enable()
        _announce(platform, options)
        await stop.wait()
    except (BrokenPipeError, ConnectionError):
        pass
    except OSError as error:
        print(f"mailtui sandbox: {error}", file=sys.stderr)
        return 1
    finally:
        await platform.stop()
        if temporary:
            with suppress(OSError):
                directory.rmdir()
    return 0


def _end_with_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop at the end of standard input; a thread, since it may be a pipe, a file or a terminal."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _announce(platform: Platform, options: argparse.Namespace) -> None:
    world = platform.world
    line = {
        "ready": True,
        "config": str(platform.config),
        "scenario": world.scenario,
        "seed": world.seed,
        "ports": platform.ports,
    }
    if options.ready_fd is not None:
        with os.fdopen(options.ready_fd, "w", encoding="utf-8") as ready:
            ready.write(json.dumps(line) + "\n")
    if options.parent:
        if options.ready_fd is None:
            print(json.dumps(line), flush=True)
        return
    print(_instructions(platform), flush=True)


def _instructions(platform: Platform) -> str:
    ports, directory = platform.ports, platform.directory
    host, port = next((n, p) for n, p in ports.items() if n.startswith("ssh:"))
    return f"""\
The sandbox plays {platform.world.scenario!r}: {platform.world.plan.title}.

  mailtui -c {platform.config}

or ask its servers yourself:
  Prometheus      http://127.0.0.1:{ports["prometheus"]}
  RabbitMQ        http://127.0.0.1:{ports["rabbitmq"]}  (mailtui, {directory}/rabbitmq.password)
  Elasticsearch   http://127.0.0.1:{ports["elasticsearch"]}  (key, {directory}/elasticsearch.key)
  {host[4:]:<15} ssh -i {directory}/id_ed25519 -o UserKnownHostsFile={directory}/known_hosts \
-p {port} mailtui@127.0.0.1

Ctrl-C ends it and removes {directory}."""


if __name__ == "__main__":
    sys.exit(run())
