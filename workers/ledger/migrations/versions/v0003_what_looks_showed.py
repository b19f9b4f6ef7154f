"""When a poll was last seen running and what it said: workers of the version before leave that empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns."""
    for name in ("seen_at", "told", "told_at"):
        op.add_column("step", sa.Column(name, sa.Float(precision=53), nullable=True))
