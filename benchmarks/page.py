"""Sections of the documentation that benchmarks write."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def write(page: Path, name: str, text: str) -> None:
    """Replace the text between the markers of the section `name`.

    Raises:
        ValueError: the page has no such section.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, opened, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (opened and closed):
        raise ValueError(f"{page.name} has no section {name}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def stamp() -> str:
    """Return the date and the versions that the numbers belong to."""
    return f"{datetime.now(UTC):%d %B %Y}, kyb-workers {version('kyb-workers')}, Python {platform.python_version()}"
