"""How urgent a look at a vendor is, and whom nobody may call just now: older workers leave both empty."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("job", sa.Column("budget", sa.Text, nullable=True))
    for name in ("late_from", "late_at", "late_slope", "late_bend"):
        op.add_column("job", sa.Column(name, sa.Float(precision=53), nullable=True))
    op.create_table(
        "vendor_pause",
        sa.Column("vendor", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("until", sa.Float(precision=53), nullable=False),
    )
