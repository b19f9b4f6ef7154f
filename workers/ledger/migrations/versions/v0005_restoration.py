"""When the ledger was restored from a back-up: workers of the version before leave that empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the table and the job's column."""
    op.create_table(
        "restoration",
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("until", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("at"),
    )
    op.add_column("job", sa.Column("restored_at", sa.Float(precision=53), nullable=True))
