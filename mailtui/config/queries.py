"""The console's questions to Prometheus: one table, read by the collector and by `config check`.

Metric names are those of the exporters themselves: Kumina's postfix_exporter (as in Debian's
`prometheus-postfix-exporter`), Dovecot's OpenMetrics listener, RabbitMQ's prometheus plugin
(per-object metrics), node_exporter and Patroni's `/metrics`. Braces stand for label matchers only,
so that `labels` of the configuration can be added to each of them. `$base` is `forecast_base`,
`$half` half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["value", "trend", "by_host", "by_label", "by_mount"]


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    value:    one number: `MetricsReport.values[name]`.
    trend:    the same, and its course over `span`: `MetricsReport.trends[name]`.
    by_label: one number per value of `label`: `MetricsReport.values["name.LABEL"]`, or just
              `values["name"]` for a series without that label.
    by_host:  one number per `instance`: `MetricsReport.by_host[name][HOST]`.
    by_mount: one number per `instance` and `mountpoint`: `MetricsReport.forecasts`.
    """

    name: str
    promql: str
    kind: Kind
    unit: str
    meaning: str
    label: str = ""
    """Of a by_label query: the label whose values tell its numbers apart."""


_FILES = (
    'fstype!~"tmpfs|devtmpfs|squashfs|ramfs|efivarfs|iso9660|nsfs"'
    ',mountpoint!~"/(run|boot/efi)(/.*)?"'
)
_LOGINS = (
    "sum(rate(dovecot_auth_success_total{}[5m])) or sum(rate(dovecot_auth_successes_total{}[5m]))"
    " or sum(rate(dovecot_global_auth_successes{}[5m]))"
)
_LOGIN_FAILURES = (
    "sum(rate(dovecot_auth_failure_total{}[5m])) or sum(rate(dovecot_auth_failures_total{}[5m]))"
    " or sum(rate(dovecot_global_auth_failures{}[5m]))"
)


def _by_queue(metric: str) -> str:
    return (
        f"sum by (queue) (rabbitmq_queue_{metric}{{}})"
        f" or sum by (queue) (rabbitmq_detailed_queue_{metric}{{}})"
    )


_ALL = (
    Query(
        "mail_in",
        "sum(rate(postfix_smtpd_messages_processed_total{}[5m])) * 60",
        "trend",
        "/min",
        "messages that Postfix accepted by SMTP",
    ),
    Query(
        "mail_out",
        "sum(rate(postfix_qmgr_messages_removed_total{}[5m])) * 60",
        "trend",
        "/min",
        "messages that left the queues: delivered or returned",
    ),
    # A counter with labels is not exposed until it has counted: none while the exporter is up is 0.
    Query(
        "mail_rejected",
        "(sum(rate(postfix_smtpd_messages_rejected_total{}[5m])) or sum(postfix_up{}) * 0) * 60",
        "value",
        "/min",
        "commands that smtpd rejected",
    ),
    Query(
        "mail_deferrals",
        "sum(rate(postfix_smtp_status_deferred{}[5m])) * 60",
        "value",
        "/min",
        "deliveries by smtp that were deferred",
    ),
    Query(
        "mail_bounced",
        "sum(rate(postfix_bounce_non_delivery_notification_total{}[5m])) * 60",
        "value",
        "/min",
        "non-delivery notifications",
    ),
    Query(
        "connects",
        "sum(rate(postfix_smtpd_connects_total{}[5m])) * 60",
        "value",
        "/min",
        "SMTP connections",
    ),
    Query(
        "sasl_failures",
        "sum(rate(postfix_smtpd_sasl_authentication_failures_total{}[5m])) * 60",
        "trend",
        "/min",
        "failed SASL authentications at smtpd",
    ),
    Query(
        "queue",
        "sum by (queue) (postfix_showq_message_age_seconds_count{})",
        "by_label",
        "messages",
        "messages in each Postfix queue",
        "queue",
    ),
    Query(
        "deferred",
        'sum(postfix_showq_message_age_seconds_count{queue="deferred"})',
        "trend",
        "messages",
        "deferred messages",
    ),
    Query(
        "deferred_by_host",
        'sum by (instance) (postfix_showq_message_age_seconds_count{queue="deferred"})',
        "by_host",
        "messages",
        "deferred messages of each host",
    ),
    Query(
        "deferred_age",
        'sum(postfix_showq_message_age_seconds_sum{queue="deferred"})'
        ' / (sum(postfix_showq_message_age_seconds_count{queue="deferred"}) > 0)',
        "value",
        "s",
        "mean age of the deferred messages",
    ),
    Query("logins", f"({_LOGINS}) * 60", "trend", "/min", "successful logins at Dovecot"),
    Query(
        "login_failures",
        f"({_LOGIN_FAILURES}) * 60",
        "trend",
        "/min",
        "failed logins at Dovecot",
    ),
    Query(
        "broker_ready",
        _by_queue("messages_ready"),
        "by_label",
        "messages",
        "ready messages of each broker queue",
        "queue",
    ),
    Query(
        "broker_unacked",
        _by_queue("messages_unacked"),
        "by_label",
        "messages",
        "messages of each broker queue that a consumer holds",
        "queue",
    ),
    Query(
        "broker_growth",
        "sum by (queue) (rabbitmq_queue_messages{})"
        " - sum by (queue) (rabbitmq_queue_messages{} offset 20m)"
        " or sum by (queue) (rabbitmq_detailed_queue_messages{})"
        " - sum by (queue) (rabbitmq_detailed_queue_messages{} offset 20m)",
        "by_label",
        "messages",
        "messages by which each broker queue grew within 20 minutes",
        "queue",
    ),
    Query("load1", "node_load1{}", "by_host", "", "load average over 1 minute"),
    Query(
        "memory_used",
        "1 - node_memory_MemAvailable_bytes{} / node_memory_MemTotal_bytes{}",
        "by_host",
        "ratio",
        "used share of the memory",
    ),
    Query(
        "targets_down",
        "sum(up{} == bool 0)",
        "value",
        "targets",
        "targets that do not answer Prometheus",
    ),
    Query(
        "patroni_leader",
        "max by (instance) (patroni_primary{}) or max by (instance) (patroni_master{})",
        "by_host",
        "",
        "1: this member is the leader",
    ),
    Query(
        "patroni_unlocked",
        "max(patroni_cluster_unlocked{})",
        "value",
        "",
        "1: the database cluster has no leader",
    ),
    Query(
        "patroni_lag",
        "scalar(max(patroni_xlog_location{}))"
        " - max by (instance) (patroni_xlog_replayed_location{} > 0)",
        "by_host",
        "bytes",
        "WAL that a replica has not replayed",
    ),
    Query(
        "disk_size",
        f"node_filesystem_size_bytes{{{_FILES}}}",
        "by_mount",
        "bytes",
        "size of each file system",
    ),
    Query(
        "disk_free",
        f"node_filesystem_free_bytes{{{_FILES}}}",
        "by_mount",
        "bytes",
        "free bytes, with those that only root can use",
    ),
    Query(
        "disk_available",
        f"node_filesystem_avail_bytes{{{_FILES}}}",
        "by_mount",
        "bytes",
        "bytes that users can still have",
    ),
    Query(
        "disk_growth",
        # of a file system that was not there for half of the base, no growth is known
        f"-deriv(node_filesystem_avail_bytes{{{_FILES}}}[$base])"
        f" and node_filesystem_avail_bytes{{{_FILES}}} offset $half",
        "by_mount",
        "bytes/s",
        "growth over `forecast_base`, by linear regression",
    ),
    Query(
        "inodes_used",
        f"1 - node_filesystem_files_free{{{_FILES}}} / (node_filesystem_files{{{_FILES}}} > 0)",
        "by_mount",
        "ratio",
        "used share of the inodes",
    ),
)

QUERIES: dict[str, Query] = {query.name: query for query in _ALL}
"""Every query by its name, in the order in which they are asked."""
