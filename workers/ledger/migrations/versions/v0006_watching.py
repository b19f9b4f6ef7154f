"""What watching needs: the last turn's span, and indexes that count jobs by command. Older workers use neither."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the column; give the two indexes of open jobs one more column each."""
    op.add_column("job", sa.Column("span", sa.Text, nullable=True))
    for name, columns, condition in (
        ("job_due", ["due_at", "command"], "due_at IS NOT NULL"),
        ("job_out", ["queue", "handed_at", "command"], "due_at IS NULL AND ended_at IS NULL"),
    ):
        where = sa.text(condition)
        op.drop_index(name, "job")
        op.create_index(name, "job", columns, unique=False, sqlite_where=where, postgresql_where=where)
