"""RabbitMQ: quorum queues with a dead-letter queue, and the pipeline that uses them."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from lab.host import Host

PROGRAM = Path(__file__).resolve().parents[1] / "programs" / "pipeline.py"
VHOST = "mail"
"""Where the platform's queues are; the default vhost `/` is empty."""
CONSOLE = ("mailtui", "lab-console")
"""The console's user. Closing a connection by HTTP needs the tag `administrator` (with `monitoring`
the broker answers 401); its permissions are to publish to queues and take from them, no more."""
ADMIN = ("admin", "lab-admin")
PIPELINE = ("pipeline", "lab-pipeline")
_EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
_MESSAGES = {"configure": "^$", "write": r"^(amq\.default|mail\..*)$", "read": r"^mail\..*$"}
_PLUGINS = (
    *("rabbitmq_management", "rabbitmq_prometheus"),
    # the broker's own way to move messages, which a bench compares the console's with
    *("rabbitmq_shovel", "rabbitmq_shovel_management"),
)
_QUORUM = {"x-queue-type": "quorum"}
_LETTERS = {**_QUORUM, "x-dead-letter-exchange": "mail.dlx", "x-delivery-limit": 5}


def _queue(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "vhost": VHOST,
        "durable": True,
        "auto_delete": False,
        "arguments": arguments,
    }


DEFINITIONS: dict[str, Any] = {
    "vhosts": [{"name": "/"}, {"name": VHOST}],
    "users": [
        {"name": ADMIN[0], "password": ADMIN[1], "tags": "administrator"},
        {"name": CONSOLE[0], "password": CONSOLE[1], "tags": "administrator"},
        {"name": PIPELINE[0], "password": PIPELINE[1], "tags": ""},
    ],
    "permissions": [
        {"user": ADMIN[0], "vhost": VHOST, **_EVERYTHING},
        {"user": CONSOLE[0], "vhost": VHOST, **_MESSAGES},
        {"user": PIPELINE[0], "vhost": VHOST, **_EVERYTHING},
    ],
    "exchanges": [
        {
            **{"name": "mail.dlx", "vhost": VHOST, "type": "fanout", "durable": True},
            **{"auto_delete": False, "internal": False, "arguments": {}},
        }
    ],
    "queues": [
        _queue("mail.scan", _LETTERS),
        _queue("mail.store", _LETTERS),
        _queue("mail.index", {"x-max-length": 10000}),
        _queue("mail.dead", _QUORUM),
    ],
    "bindings": [
        {
            **{"source": "mail.dlx", "vhost": VHOST, "destination": "mail.dead"},
            **{"destination_type": "queue", "routing_key": "", "arguments": {}},
        }
    ],
}


def configure(host: Host) -> None:
    """One node, its definitions, one unit for each worker."""
    host.write("/etc/rabbitmq/enabled_plugins", f"[{','.join(_PLUGINS)}].\n")
    host.write("/etc/rabbitmq/definitions.json", json.dumps(DEFINITIONS), 0o640, "root:rabbitmq")
    host.write(
        "/etc/rabbitmq/rabbitmq.conf",
        "load_definitions = /etc/rabbitmq/definitions.json\n"
        "vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
        "collect_statistics_interval = 5000\nloopback_users = none\n"
        "prometheus.return_per_object_metrics = true\n",
    )
    # busy-waiting schedulers would take the machine's few cores
    host.write(
        "/etc/rabbitmq/rabbitmq-env.conf",
        'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"\n',
    )
    host.write("/opt/lab/pipeline.py", PROGRAM.read_text())
    host.enable("rabbitmq-server.service")
    for worker in ("publish", "scan", "store"):
        url = f"amqp://{':'.join(PIPELINE)}@127.0.0.1:5672/{VHOST}"
        command = f"/usr/bin/python3 /opt/lab/pipeline.py {worker} {url}"
        after = "After=rabbitmq-server.service"
        host.service(f"pipeline-{worker}", command, "User=nobody", after)


def started(host: Host) -> None:
    """The API answers for the console's user."""
    host.wait_for(f"curl -sf -u {':'.join(CONSOLE)} 127.0.0.1:15672/api/overview")


def publish(host: Host, queue: str, count: int, headers: dict[str, Any]) -> int:
    """Put `count` messages into a queue by the management API; how many were routed."""
    url = f"http://{host.address}:15672/api/exchanges/{VHOST}/amq.default/publish"
    login = base64.b64encode(":".join(ADMIN).encode()).decode()
    routed = 0
    for number in range(count):
        body = {
            "properties": {"delivery_mode": 2, "headers": headers},
            "routing_key": queue,
            "payload": json.dumps({"number": number, "to": "ann@example.org"}),
            "payload_encoding": "string",
        }
        request = urllib.request.Request(
            url,
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Basic {login}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            routed += bool(json.load(answer)["routed"])
    return routed
