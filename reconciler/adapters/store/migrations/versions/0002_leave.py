"""What nodes may do alone: leaves by association, permits by node and association."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leaves",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("permit", sa.Text(), nullable=False),
        sa.Column("splay", sa.BigInteger(), nullable=False),
        sa.Column("heals", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("fleet_id", "uid"),
    )
    op.create_table(
        "permits",
        sa.Column("fleet_id", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("node_number", sa.BigInteger(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("run_instant", sa.Text(), nullable=False),
        sa.Column("granted_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["fleet_id", "node_number"], ["nodes.fleet_id", "nodes.number"]),
        sa.PrimaryKeyConstraint("fleet_id", "uid", "node_number"),
        sqlite_with_rowid=False,
    )
    op.create_index("permits_node", "permits", ["fleet_id", "node_number"])
