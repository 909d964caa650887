"""The rules of the platform's Prometheus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, frozen=True)
class AlertRule:
    """One alerting rule. Texts are templates: `{{ $labels.instance }}`, `{{ $value }}`."""

    name: str
    expr: str
    hold: float
    """`for`, in seconds."""
    severity: str
    summary: str
    description: str = ""


FILE = "/etc/prometheus/mail.rules.yml"
GROUP = "mail"

RULES: tuple[AlertRule, ...] = (
    AlertRule(
        "MailQueueDeferredHigh",
        'sum(postfix_showq_message_age_seconds_count{queue="deferred"}) > 1000',
        300.0,
        "warning",
        "{{ $value }} messages are deferred",
        "The deferred queues of all mx hosts hold {{ $value }} messages.",
    ),
    AlertRule(
        "MailStoreDiskFilling",
        'predict_linear(node_filesystem_avail_bytes{mountpoint="/var/vmail"}[30m], 4 * 3600) < 0',
        300.0,
        "critical",
        "{{ $labels.mountpoint }} on {{ $labels.instance }} is full within 4 hours",
    ),
    AlertRule(
        "DiskAlmostFull",
        'node_filesystem_avail_bytes{fstype!~"tmpfs|vfat"} / node_filesystem_size_bytes < 0.07',
        600.0,
        "warning",
        "{{ $labels.mountpoint }} on {{ $labels.instance }} has less than 7 % left",
    ),
    AlertRule(
        "SaslFailuresHigh",
        "round(sum by (instance) (rate(postfix_smtpd_sasl_authentication_failures_total[5m])) * 60)"
        " > 30",
        120.0,
        "warning",
        "{{ $value }} failed SASL logins a minute on {{ $labels.instance }}",
    ),
    AlertRule(
        "DeadLettersGrow",
        'rabbitmq_queue_messages_ready{queue="dead"} > 500',
        300.0,
        "warning",
        "{{ $value }} dead letters in {{ $labels.vhost }}/{{ $labels.queue }}",
    ),
    AlertRule(
        "BrokerQueueBacklog",
        'rabbitmq_queue_messages_ready{queue!="dead"} > 1000',
        600.0,
        "warning",
        "{{ $value }} messages wait in {{ $labels.queue }}",
    ),
    AlertRule(
        "SearchClusterRed",
        'elasticsearch_cluster_health_status{color="red"} == 1',
        120.0,
        "critical",
        "the search cluster {{ $labels.cluster }} is red",
    ),
    AlertRule(
        "SearchDiskFloodStage",
        "elasticsearch_filesystem_data_available_bytes / elasticsearch_filesystem_data_size_bytes"
        " < 0.05",
        0.0,
        "critical",
        "{{ $labels.name }} is beyond the flood stage: indices are read-only",
    ),
    AlertRule(
        "TargetDown",
        "up == 0",
        60.0,
        "warning",
        "{{ $labels.job }} on {{ $labels.instance }} does not answer",
    ),
    AlertRule(
        "UnitFailed",
        'node_systemd_unit_state{state="failed"} == 1',
        60.0,
        "warning",
        "{{ $labels.name }} on {{ $labels.instance }} has failed",
    ),
    AlertRule(
        "DatabaseHasNoLeader",
        "max by (scope) (patroni_cluster_unlocked) == 1",
        30.0,
        "critical",
        "the database cluster {{ $labels.scope }} has no leader",
    ),
)
