"""The vendors page: its table of assumptions names existing code, and it lists every group of operations."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conformance.documented import OPERATIONS

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "reference" / "vendors.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.partition("## What is assumed")[2].splitlines()
    if line.startswith("|")
][2:]


def places(cell: str) -> list[tuple[str, str]]:
    """Return `file.py` `name`, `name`; … as pairs of file and name."""
    pairs: list[tuple[str, str]] = []
    file = ""
    for word in re.findall(r"`([^`]+)`", cell):
        if word.endswith(".py"):
            file = word
        elif file:
            pairs.append((file, word))
    return pairs


def test_assumptions_table_has_rows_for_every_vendor() -> None:
    assert {row[0] for row in ROWS} == {"all", "Creditsafe", "Data8", "Sayari"}
    assert all(len(row) == 5 and places(row[3]) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]}: {row[1]}" for row in ROWS])
def test_assumption_is_defined_where_the_table_says(row: list[str]) -> None:
    for file, name in places(row[3]) + places(row[4]):
        source = (ROOT / file).read_text(encoding="utf-8")
        defined = rf"^\s*((async )?def|class) {name}\b|^\s*(self\.)?{name}\b[^=(\n]*=|^{name}, .*="
        assert re.search(defined, source, re.MULTILINE) or f", {name} = " in source, f"{file}: {name}"


def test_settings_page_documents_every_setting_that_the_vendors_page_names() -> None:
    settings = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    for name in re.findall(r"KYB_\w+", TEXT):
        assert name in settings or name.replace("KYB_SAYARI__RATE", "KYB_<VENDOR>__RATE") in settings, name


def test_vendors_page_lists_every_group_of_operations() -> None:
    groups = {each.name.split(".")[-2] for each in OPERATIONS if "." in each.name}
    alone = {each.name for each in OPERATIONS if "." not in each.name}
    assert {name for name in groups | alone if f"`{name}" not in TEXT} == set()
