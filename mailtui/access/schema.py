"""The tables of operators. `migrations/` makes them; this says what they are now."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

HEAD = "0001"
"""The newest migration: a database that is there needs nothing more than one look."""
VERSION_TABLE = "operators_version"
"""Alembic's; not its usual name, because other parts may share a PostgreSQL database."""

metadata = MetaData()

operators = Table(
    "operators",
    metadata,
    Column("name", String(256), primary_key=True),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("created_by", String(256), nullable=False),
    Column("last_seen", Float(53)),
)

grants = Table(
    "operator_grants",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "operator", String(256), ForeignKey("operators.name", ondelete="CASCADE"), nullable=False
    ),
    Column("role", String(32), nullable=False),
    Column("tenant", String(256), nullable=False),
    Column("context", String(256), nullable=False),
    Column("granted_at", Float(53), nullable=False),
    Column("granted_by", String(256), nullable=False),
    UniqueConstraint("operator", "role", "tenant", "context", name="operator_grants_once"),
)

factors = Table(
    "second_factors",
    metadata,
    Column(
        "operator", String(256), ForeignKey("operators.name", ondelete="CASCADE"), primary_key=True
    ),
    # nonce and AES-256-GCM ciphertext, bound to the operator's name
    Column("secret", LargeBinary, nullable=False),
    # which key it was encrypted with: a fingerprint
    Column("key_id", String(32), nullable=False),
    Column("confirmed_at", Float(53), nullable=False),
    # the step (30 s since the epoch) of the last accepted code
    Column("last_step", BigInteger, nullable=False),
    # a step whose code was shown to be right at another time; it is never accepted
    Column("told_step", BigInteger, nullable=False),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column(
        "operator",
        String(256),
        ForeignKey("second_factors.operator", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("hash", String(256), nullable=False),
    Column("used_at", Float(53)),
)

attempts = Table(
    "code_attempts",
    metadata,
    Column(
        "operator", String(256), ForeignKey("operators.name", ondelete="CASCADE"), primary_key=True
    ),
    # codes since the last right one, counted before they are looked at
    Column("count", Integer, nullable=False),
    # locks since the last right one
    Column("locks", Integer, nullable=False),
    # epoch seconds; 0: not locked
    Column("locked_until", Float(53), nullable=False),
)
