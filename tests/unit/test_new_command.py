"""`make new-command` writes four files that fail until they are filled."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.new_command import write_command

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("messages", "clients", "workers", "sandbox", "tests/commands", "tests/support"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "docs/reference/commands", tmp_path / "docs/reference/commands")
    return tmp_path


def test_new_command_is_registered_and_names_the_files_to_fill(checkout: Path) -> None:
    written = write_command(checkout, "data8.archive_dataset")

    assert [str(path) for path in written] == [
        "messages/data8.py",
        "workers/jobs/data8/archive_dataset.py",
        "tests/commands/data8/archive_dataset.py",
        "docs/reference/commands/data8.archive_dataset.md",
    ]
    program = (
        "from messages.catalogue import COMMANDS; from workers.jobs.catalogue import JOBS;"
        "from tests.support.scenarios import SCENARIOS;"
        "print([type_ in table for table in (COMMANDS, JOBS, SCENARIOS) for type_ in ['data8.archive_dataset']])"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert loaded.stdout == "[True, True, True]\n", loaded.stderr


@pytest.mark.parametrize(
    "name", ["data8.delete_dataset", "dnb.match", "data8.Archive", "data8", "data8.x; rm"]
)
def test_new_command_refuses_a_name_that_exists_or_is_no_command(name: str, checkout: Path) -> None:
    before = (checkout / "messages" / "data8.py").read_text()

    with pytest.raises(ValueError, match=r"data8|dnb"):
        write_command(checkout, name)

    assert (checkout / "messages" / "data8.py").read_text() == before
