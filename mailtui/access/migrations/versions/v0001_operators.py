"""Operators, grants, second factors, recovery codes, attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "operators",
        sa.Column("name", sa.String(256), primary_key=True),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("last_seen", sa.Float(53)),
    )
    op.create_table(
        "operator_grants",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "operator",
            sa.String(256),
            sa.ForeignKey("operators.name", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("tenant", sa.String(256), nullable=False),
        sa.Column("context", sa.String(256), nullable=False),
        sa.Column("granted_at", sa.Float(53), nullable=False),
        sa.Column("granted_by", sa.String(256), nullable=False),
        sa.UniqueConstraint("operator", "role", "tenant", "context", name="operator_grants_once"),
    )
    op.create_table(
        "second_factors",
        sa.Column(
            "operator",
            sa.String(256),
            sa.ForeignKey("operators.name", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.String(32), nullable=False),
        sa.Column("confirmed_at", sa.Float(53), nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("told_step", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "operator",
            sa.String(256),
            sa.ForeignKey("second_factors.operator", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("hash", sa.String(256), nullable=False),
        sa.Column("used_at", sa.Float(53)),
    )
    op.create_table(
        "code_attempts",
        sa.Column(
            "operator",
            sa.String(256),
            sa.ForeignKey("operators.name", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("locks", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Float(53), nullable=False),
    )


def downgrade() -> None:
    """There is no way back: a version that knows less must not read these."""
    raise NotImplementedError
