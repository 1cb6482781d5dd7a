"""Commands, and their invocations by job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "commands",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.BigInteger(), nullable=False),
        sa.Column("targets", sa.Text(), nullable=False),
        sa.Column("target_count", sa.BigInteger(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("max_concurrency", sa.Text(), nullable=False),
        sa.Column("max_errors", sa.Text(), nullable=False),
        sa.Column("delivery_timeout", sa.BigInteger(), nullable=False),
        sa.Column("execution_timeout", sa.BigInteger(), nullable=False),
        sa.Column("check", sa.Boolean(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("cancelled_by", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("fleet_id", "id"),
    )
    is_open = sa.text("finished_at = 0")
    op.create_index("commands_open", "commands", ["fleet_id", "id"], sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "invocations",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("command_id", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text(), nullable=False),
        sa.Column("node_name", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("released_at", sa.BigInteger(), nullable=False),
        sa.Column("accepted_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["fleet_id", "command_id"], ["commands.fleet_id", "commands.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fleet_id", "job_id"),
    )
    op.create_index("invocations_command", "invocations", ["fleet_id", "command_id"])
