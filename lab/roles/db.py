"""PostgreSQL under Patroni, with the mail database: domains, accounts, aliases."""

from __future__ import annotations

import base64
import hashlib

import yaml

from lab.host import Host

READER, READER_PASSWORD = "mailreader", "lab-mailreader"
"""Whom Postfix and Dovecot are to the database."""


def password_of(account: str) -> str:
    """The password of an account of the lab."""
    return f"lab-{account}"


def configure(host: Host) -> None:
    """Patroni's configuration; the first leader fills the database."""
    plan = host.plan
    own = host.address
    config = {
        "scope": "mail",
        "name": host.name,
        "restapi": {"listen": "0.0.0.0:8008", "connect_address": f"{own}:8008"},
        "etcd3": {"hosts": [f"{one.address}:2379" for one in plan.having("dcs")]},
        "bootstrap": {
            "dcs": {
                "ttl": 20,
                "loop_wait": 3,
                "retry_timeout": 5,
                "maximum_lag_on_failover": 1048576,
                "postgresql": {
                    "use_pg_rewind": True,
                    "parameters": {
                        "shared_buffers": "16MB",
                        "max_connections": 60,
                        "wal_keep_size": "32MB",
                        "max_wal_size": "48MB",
                        "min_wal_size": "32MB",
                    },
                },
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, "no-sync"],
            "post_init": "/etc/patroni/fill",
        },
        "postgresql": {
            "listen": "0.0.0.0:5432",
            "connect_address": f"{own}:5432",
            "data_dir": "/var/lib/postgresql/lab",
            "bin_dir": str(_binaries(host)),
            # else a new member waits for the next checkpoint of the leader
            "basebackup": [{"checkpoint": "fast"}],
            "pgpass": "/var/lib/postgresql/pgpass",
            "pg_hba": [
                "local all all trust",
                "host all all 127.0.0.1/32 trust",
                # Patroni asks a replica for its timeline this way; refused, its metrics are broken
                "host replication replicator 127.0.0.1/32 trust",
                f"host replication replicator {plan.network} scram-sha-256",
                f"host all postgres {plan.network} scram-sha-256",
                f"host mail {READER} {plan.network} scram-sha-256",
            ],
            "authentication": {
                "superuser": {"username": "postgres", "password": "lab-postgres"},
                "replication": {"username": "replicator", "password": "lab-replicator"},
                "rewind": {"username": "rewinder", "password": "lab-rewinder"},
            },
            "parameters": {"unix_socket_directories": "/run/postgresql"},
        },
    }
    host.write("/etc/patroni/config.yml", yaml.safe_dump(config), 0o640, "root:postgres")
    host.write(
        "/etc/patroni/fill",
        '#!/bin/sh\npsql -q -v ON_ERROR_STOP=1 -d "$1" -f /etc/patroni/fill.sql\n',
        0o755,
    )
    host.write("/etc/patroni/fill.sql", _sql(host), 0o640, "root:postgres")
    host.write(
        "/etc/default/prometheus-postgres-exporter",
        'DATA_SOURCE_NAME="host=127.0.0.1 user=postgres dbname=postgres sslmode=disable"\n'
        'ARGS=""\n',
    )
    host.enable("patroni.service", "prometheus-postgres-exporter.service")


def _binaries(host: Host) -> str:
    found = sorted((host.root / "usr/lib/postgresql").iterdir())[-1]
    return f"/usr/lib/postgresql/{found.name}/bin"


def _sql(host: Host) -> str:
    domain = host.plan.domain
    lines = [
        f"CREATE ROLE {READER} LOGIN PASSWORD '{READER_PASSWORD}';",
        "CREATE DATABASE mail;",
        "\\connect mail",
        "CREATE TABLE domains (name text PRIMARY KEY);",
        "CREATE TABLE accounts (address text PRIMARY KEY, password text NOT NULL,"
        " enabled boolean NOT NULL DEFAULT true);",
        "CREATE TABLE aliases (address text PRIMARY KEY, target text NOT NULL);",
        f"INSERT INTO domains VALUES ('{domain}');",
        f"INSERT INTO aliases VALUES ('postmaster@{domain}', 'ann@{domain}');",
    ]
    for name in host.plan.accounts:
        hashed = _hashed(password_of(name))
        lines.append(f"INSERT INTO accounts VALUES ('{name}@{domain}', '{hashed}');")
    lines.append(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER};")
    return "\n".join(lines) + "\n"


def _hashed(password: str) -> str:
    """Dovecot's SSHA256: base64 of SHA-256(password + salt) + salt."""
    salt = hashlib.sha256(password.encode()).digest()[:4]
    digest = hashlib.sha256(password.encode() + salt).digest()
    return "{SSHA256}" + base64.b64encode(digest + salt).decode()


def started(host: Host) -> None:
    """It streams, or it leads and the mail database is filled."""
    host.wait_for("curl -sf 127.0.0.1:8008/readiness")
    host.wait_for("psql -U postgres -h 127.0.0.1 mail -Atc 'SELECT 1 FROM accounts' | grep -q 1")
