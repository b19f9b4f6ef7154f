"""Sections of a page of the docs that benchmarks write."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def write(page: Path, name: str, text: str) -> None:
    """Replace what stands between the marks of the section `name`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page.name} has no section {name}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def stamp() -> str:
    """When and of what the numbers are."""
    return f"{datetime.now(UTC):%d %B %Y}, kyb-workers {version('kyb-workers')}, Python {platform.python_version()}"
