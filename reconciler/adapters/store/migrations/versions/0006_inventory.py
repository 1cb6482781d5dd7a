"""Inventory: which content each node has of each type; the contents are among the bodies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inventory",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("node_number", sa.BigInteger(), nullable=False),
        sa.Column("type_name", sa.Text(), nullable=False),
        sa.Column("schema_version", sa.Text(), nullable=False),
        sa.Column("captured_at", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["fleet_id", "node_number"], ["nodes.fleet_id", "nodes.number"]),
        sa.PrimaryKeyConstraint("fleet_id", "node_number", "type_name"),
        sqlite_with_rowid=False,
    )
    op.create_index("inventory_content", "inventory", ["fleet_id", "content_hash"])
