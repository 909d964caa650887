"""The search engine: noida-db, which speaks a part of Elasticsearch's API. Not Elasticsearch."""

from __future__ import annotations

import json

from lab.host import Host

_EVENT = ("action", "outcome", "category", "kind", "dataset")
_KEYWORD = {"type": "keyword"}
TEMPLATE = {
    "index_patterns": ["audit-*"],
    "template": {
        "settings": {"number_of_replicas": 0, "refresh_interval": "1s"},
        "mappings": {
            "properties": {
                "@timestamp": {"type": "date"},
                "message": {"type": "text"},
                "event": {
                    "properties": dict.fromkeys(
                        ("action", "outcome", "category", "kind", "dataset"), _KEYWORD
                    )
                },
                "source": {"properties": {"ip": {"type": "ip"}}},
                **{
                    name: {"properties": {"name": _KEYWORD}}
                    for name in ("user", "host", "service", "organization")
                },
                "ecs": {"properties": {"version": _KEYWORD}},
            }
        },
    },
}


_START = "/opt/search/noida_db/noida-db start --only elasticsearch --data-dir /var/lib/search"
_PREPARE = f"""\
#!/bin/sh
# The mapping has to be there before the first event comes: put it where nobody else listens yet.
{_START} --elasticsearch-port 9299 & engine=$!
until curl -sf -X PUT -H 'Content-Type: application/json' -d @/opt/lab/template.json \\
    127.0.0.1:9299/_index_template/audit; do sleep 0.1; done
kill $engine; wait $engine; true
"""


def configure(host: Host) -> None:
    """One node, on port 9200."""
    host.folder("/var/lib/search")
    host.write("/opt/lab/template.json", json.dumps(TEMPLATE))
    host.write("/opt/lab/search-prepare", _PREPARE, 0o755)
    host.service(
        "search",
        f"{_START} --elasticsearch-port 9200 --host 0.0.0.0",
        "ExecStartPre=/opt/lab/search-prepare\nTimeoutStartSec=infinity",
    )


def started(host: Host) -> None:
    """It answers, and finds events: for some seconds a search misses what was just written."""
    newest = "127.0.0.1:9200/audit-*/_search?size=1&sort=@timestamp:desc"
    host.wait_for(f"curl -sf '{newest}' | jq -e '.hits.hits | length > 0'")
