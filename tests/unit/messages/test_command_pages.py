"""The pages of docs/reference/commands: one for each command, with the same sections, and messages that are valid.

The first JSON block of a page is the command. The others are events of runs: at least the `accepted` and the
`completed` one of that command. A shortened text ends with `…`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from messages.catalogue import COMMANDS
from messages.envelope import parse
from messages.errors import Code
from messages.portfolio import STAGES
from messages.schemas import schemas

FOLDER = Path(__file__).parents[3] / "docs" / "reference" / "commands"
PAGES = {page.stem: page.read_text(encoding="utf-8") for page in sorted(FOLDER.glob("*.md"))}
SECTIONS = ["What it does", "Command", "Result", "Progress", "Events", "Errors", "When an answer is lost"]
PARTS = ["command", "result", "events"]
SCHEMAS = schemas()


def section(type_: str, name: str) -> str:
    return PAGES[type_].partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def first_cells(text: str) -> list[str]:
    """Return the code in the first cell of each row of the tables."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_pages_exist_for_every_command_and_no_other() -> None:
    assert PAGES.keys() == COMMANDS.keys()


def steps_of(type_: str) -> list[str]:
    return [name.rstrip("0123456789") for name in first_cells(section(type_, "What it does"))]


@pytest.mark.parametrize("type_", PAGES)
def test_page_has_the_sections_and_generated_parts_in_order(type_: str) -> None:
    assert PAGES[type_].startswith(f"# `{type_}`\n")
    assert re.findall(r"^## (.*)$", PAGES[type_], re.MULTILINE) == SECTIONS
    assert re.findall(r"^<!-- generated: (.*) -->$", PAGES[type_], re.MULTILINE) == PARTS


@pytest.mark.parametrize("type_", PAGES)
def test_page_lists_only_error_codes_that_exist(type_: str) -> None:
    codes = first_cells(section(type_, "Errors"))
    assert codes
    assert set(codes) <= {*Code}


@pytest.mark.parametrize("type_", PAGES)
def test_messages_on_a_page_satisfy_their_schemas(type_: str) -> None:
    (command,) = blocks(section(type_, "Command"))
    events = blocks(section(type_, "Events"))
    assert parse(json.dumps(command).encode()).type == type_
    for message in (command, *events):
        assert message["type"].startswith(type_)
        jsonschema.Draft202012Validator(SCHEMAS[f"{message['type']}.json"]).validate(message)
    run = [event for event in events if event["subject"] == command["id"]]
    outcomes = [event["type"].rpartition(".")[2] for event in run]
    assert outcomes[0] == "accepted"
    assert outcomes[-1] == "completed"
    assert [int(event["sequence"]) for event in run] == list(range(1, len(run) + 1))
    shown = [*events, command]
    assert len(blocks(PAGES[type_])) == len(shown)


@pytest.mark.parametrize("type_", PAGES)
def test_steps_in_events_are_listed_on_the_page(type_: str) -> None:
    steps = set(steps_of(type_))
    for stage, command in STAGES.items():
        if f"{stage}: …" in steps:
            steps |= {f"{stage}: {step}" for step in steps_of(command)}
    for event in blocks(section(type_, "Events")):
        about = event["data"].get("progress") or event["data"].get("error") or {}
        if step := about.get("step"):
            assert step.rstrip("0123456789") in steps
