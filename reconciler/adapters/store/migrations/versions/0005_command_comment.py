"""Why somebody had a command run, and whether what was run had been reviewed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("commands", sa.Column("comment", sa.Text(), nullable=False, server_default=""))
    op.add_column("commands", sa.Column("reviewed", sa.Boolean(), nullable=False, server_default=sa.false()))
