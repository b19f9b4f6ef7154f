"""A later version: a copy of this code with one more migration of the ledger."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from alembic.script import ScriptDirectory

from tests.chaos.installation import MAIN, Installation
from workers.ledger.database import MIGRATIONS

ROOT = Path(__file__).parents[2]

_MIGRATION = '''"""What the version after this one might add: a column, a table, an index."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{head}"


def upgrade():
    op.add_column("step", sa.Column("remark", sa.Text(), nullable=True))
    op.create_table("note", sa.Column("job_id", sa.Text(), primary_key=True), sa.Column("text", sa.Text()))
    op.create_index("job_source", "job", ["source"])
'''


def next_version(installation: Installation) -> Path:
    """Build the version and return its folder. Its workers log `version="next"`."""
    folder = installation.folder / "next"
    for package in ("clients", "messages", "workers"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    migration = folder / "workers/ledger/migrations/versions/v9999_next.py"
    migration.write_text(_MIGRATION.format(head=head))
    _replace(
        folder / "workers/ledger/schema.py",
        '    Column("started_at"',
        '    Column("remark", Text),\n    Column("started_at"',
    )
    _replace(
        folder / "workers/ledger/records.py",
        "    reported_at: float | None = None\n",
        "    reported_at: float | None = None\n    remark: str | None = None\n",
    )
    _replace(folder / "workers/engine/worker.py", 'log.info("serving"', 'log.info("serving", version="next"')
    return folder


def upgrade(installation: Installation, folder: Path) -> None:
    """Run `kyb ledger upgrade` of the version in `folder`."""
    environment = os.environ | installation.environment()
    command = [sys.executable, "-c", MAIN, "ledger", "upgrade"]
    subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True
    )


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path.name} has changed: {old}"
    path.write_text(text.replace(old, new, 1))
