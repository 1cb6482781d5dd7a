"""Executions of Automation documents, and their events in order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "executions",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("source_digest", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("parent", sa.Text(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fleet_id", "id"),
    )
    op.create_index("executions_parent", "executions", ["fleet_id", "parent", "id"])
    is_open = sa.text("finished_at = 0")
    op.create_index("executions_open", "executions", ["fleet_id", "id"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "execution_events",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("execution", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["fleet_id", "execution"], ["executions.fleet_id", "executions.id"], ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("fleet_id", "execution", "number"),
        sqlite_with_rowid=False,
    )
