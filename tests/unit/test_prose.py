"""The check of our prose in `.ci/prose.py` finds what it is there for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "prose.py"


def run_prose(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("page.md", "# Page\n\nThe job is\ntold of it.\n", ':3: "is told": better reported or published'),
        ("page.md", "```\nthe keeper\n```\n\nThe keeper.\n", ':5: "keeper": better dispatcher'),
        ("page.md", "word " * 25 + "\n", ":1: 125 characters: wrap at 120"),
        ("page.md", "See [there](nowhere.md#part).\n", ":1: nowhere.md does not exist"),
        ("module.py", '"""Return a sighting."""\n', ':1: "sighting": better poll result'),
        ("module.py", 'def f():\n    """Serialize."""\n', ':2: "Serialize": better -ise'),
        ("module.py", 'log.info("the ledger is away")\n', ':1: "is away": better unavailable'),
    ],
)
def test_prose_check_names_line_and_better_word(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    page = tmp_path / name
    page.write_text(content, encoding="utf-8")

    checked = run_prose(page)

    assert checked.returncode == 1
    assert f"{name}{problem}" in checked.stdout


def test_prose_check_passes_when_words_stand_in_code_or_tables(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        f"Call `keeper`.\n\n| {'cell ' * 30} |\n| --- |\n\n[home]({page.name})\n", encoding="utf-8"
    )

    checked = run_prose(page)

    assert (checked.returncode, checked.stdout) == (0, "")
