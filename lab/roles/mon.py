"""Prometheus with rules for the incidents, and Alertmanager."""

from __future__ import annotations

from typing import Any

import yaml

from lab.host import Host
from lab.plan import Plan

_PORTS = {
    "node": ("mx", "store", "db", "mon", "bk"),
    "postfix": ("mx",),
    "dovecot": ("store",),
    "patroni": ("db",),
    "postgres": ("db",),
    "rabbitmq": ("broker",),
}
_PORT = {
    **{"node": 9100, "postfix": 9154, "dovecot": 9900, "patroni": 8008, "postgres": 9187},
    "rabbitmq": 15692,
}


def _rule(name: str, expr: str, hold: str, severity: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": hold,
        "labels": {"severity": severity},
        "annotations": {"summary": summary},
    }


_DOWN = 'node_systemd_unit_state{instance=~"mx.*",name="%s",state="active"} == 0'
RULES = [
    _rule(
        "MailQueueDeferredHigh",
        'sum by (instance) (postfix_showq_message_age_seconds_count{queue="deferred"}) > 1000',
        "30s",
        "warning",
        "{{ $value }} messages are deferred on {{ $labels.instance }}",
    ),
    _rule(
        "MailStoreDiskFilling",
        'predict_linear(node_filesystem_avail_bytes{instance=~"store.*",fstype="overlay"}[15m],'
        " 4 * 3600) < 0",
        "5m",
        "critical",
        "{{ $labels.mountpoint }} on {{ $labels.instance }} is full within 4 hours",
    ),
    _rule(
        "DiskAlmostFull",
        'node_filesystem_avail_bytes{fstype="overlay"} / node_filesystem_size_bytes < 0.07',
        "0s",
        "critical",
        "{{ $labels.mountpoint }} on {{ $labels.instance }} has less than 7 % left",
    ),
    _rule(
        "SaslFailuresHigh",
        "sum by (instance) (rate(postfix_smtpd_sasl_authentication_failures_total[5m])) * 60 > 30",
        "1m",
        "warning",
        "failed SASL logins on {{ $labels.instance }}: {{ $value }} a minute",
    ),
    _rule(
        "BouncesRise",
        "sum(rate(postfix_bounce_non_delivery_notification_total[5m])) * 60 > 60",
        "2m",
        "warning",
        "{{ $value }} non-delivery notifications a minute: a stolen account, or backscatter",
    ),
    _rule(
        "DeadLettersGrow",
        'rabbitmq_queue_messages_ready{queue="mail.dead"} > 100',
        "0s",
        "warning",
        "{{ $value }} dead letters in {{ $labels.queue }}",
    ),
    _rule(
        "ConsumerStuck",
        "rabbitmq_queue_messages_ready > 0 and rabbitmq_queue_consumers > 0"
        " and rate(rabbitmq_queue_messages_ready[2m]) > 0"
        " and rabbitmq_queue_messages_unacked > 0 and changes(rabbitmq_queue_messages_unacked[2m])"
        " == 0",
        "2m",
        "warning",
        "consumers of {{ $labels.queue }} acknowledge nothing",
    ),
    _rule(
        "BrokerAlarm",
        "rabbitmq_alarms_memory_used_watermark == 1 or rabbitmq_alarms_free_disk_space_watermark"
        " == 1",
        "0s",
        "critical",
        "{{ $labels.instance }} accepts no messages: an alarm is set",
    ),
    _rule(
        "DatabaseHasNoLeader",
        "max by (scope) (patroni_cluster_unlocked) == 1",
        "0s",
        "critical",
        "the database cluster {{ $labels.scope }} has no leader",
    ),
    _rule(
        "ReplicaLags",
        "scalar(max(patroni_xlog_location)) - max by (instance)"
        " (patroni_xlog_replayed_location > 0) > 16777216",
        "1m",
        "warning",
        "{{ $labels.instance }} lags by {{ $value }} bytes",
    ),
    _rule(
        "ScannerDown",
        f"{_DOWN % 'clamav-daemon.service'} or {_DOWN % 'spamd.service'}",
        "30s",
        "critical",
        "{{ $labels.name }} on {{ $labels.instance }} does not run",
    ),
    _rule(
        "UnitFailed",
        'node_systemd_unit_state{state="failed"} == 1',
        "1m",
        "warning",
        "{{ $labels.name }} on {{ $labels.instance }} has failed",
    ),
    _rule(
        "TargetDown",
        "up == 0",
        "1m",
        "warning",
        "{{ $labels.job }} on {{ $labels.instance }} does not answer",
    ),
]


def configure(host: Host) -> None:
    """Scrapes every exporter of the platform."""
    jobs = [
        {
            "job_name": job,
            "static_configs": [{"targets": _targets(host.plan, job)}],
            # Debian's Postfix exporter reads the whole log at each scrape: not oftener than this
            "scrape_interval": "15s" if job == "postfix" else "5s",
        }
        for job in _PORTS
    ]
    config = {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["/etc/prometheus/mail.rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["127.0.0.1:9093"]}]}]},
        "scrape_configs": [
            *jobs,
            {
                "job_name": "prometheus",
                "static_configs": [{"targets": ["127.0.0.1:9090"]}],
            },
        ],
    }
    host.write("/etc/prometheus/prometheus.yml", yaml.safe_dump(config))
    groups = {"groups": [{"name": "mail", "rules": RULES}]}
    host.write("/etc/prometheus/mail.rules.yml", yaml.safe_dump(groups, allow_unicode=True))
    host.write("/etc/default/prometheus", 'ARGS="--storage.tsdb.retention.size=100MB"\n')
    host.write("/etc/default/prometheus-alertmanager", 'ARGS="--cluster.listen-address="\n')
    host.enable("prometheus.service", "prometheus-alertmanager.service")


def started(host: Host) -> None:
    """Both answer, and every exporter was scraped twice: before that there is no rate."""
    host.wait_for("curl -sf 127.0.0.1:9090/-/ready && curl -sf 127.0.0.1:9093/-/ready")
    targets = sum(len(_targets(host.plan, job)) for job in _PORTS) + 1
    query = f"count(sum_over_time(up[5m]) >= 2) == {targets}"
    host.wait_for(
        f"curl -sf 127.0.0.1:9090/api/v1/query --data-urlencode 'query={query}'"
        " | jq -e '.data.result | length > 0'"
    )


def _targets(plan: Plan, job: str) -> list[str]:
    return [
        f"{one.name}:{_PORT[job]}"
        for one in plan.hosts.values()
        if set(_PORTS[job]) & set(one.roles)
    ]
