"""The pages of docs/commands: one a command, all alike, and what they show is what the schemas say.

A page has the sections below in this order. Its first JSON block is the command, the others are events of
runs: at least what was accepted and completed, of that command. Shortened texts end with `…`.
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

DOCS = Path(__file__).parents[3] / "docs"
PAGES = {page.stem: page.read_text() for page in sorted((DOCS / "commands").glob("*.md"))}
SECTIONS = ["What it does", "Command", "Result", "Progress", "Events", "Errors", "When something gets lost"]
SCHEMAS = schemas()


def section(type_: str, name: str) -> str:
    return PAGES[type_].partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def blocks(text: str) -> list[dict[str, Any]]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def first_cells(text: str) -> list[str]:
    """What is in backticks in the first cell of each row of the tables."""
    return re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)


def test_a_vendor_that_has_pages_has_one_for_each_command() -> None:
    described = {type_.partition(".")[0] for type_ in PAGES}
    assert PAGES.keys() == {type_ for type_ in COMMANDS if type_.partition(".")[0] in described}


def steps_of(type_: str) -> list[str]:
    return [name.rstrip("0123456789") for name in first_cells(section(type_, "What it does"))]


@pytest.mark.parametrize("type_", PAGES)
def test_pages_are_laid_out_alike(type_: str) -> None:
    assert PAGES[type_].startswith(f"# `{type_}`\n")
    assert re.findall(r"^## (.*)$", PAGES[type_], re.MULTILINE) == SECTIONS
    assert f"(commands/{type_}.md)" in (DOCS / "contract.md").read_text()


@pytest.mark.parametrize("type_", PAGES)
def test_every_field_is_explained_and_no_other(type_: str) -> None:
    command = COMMANDS[type_]
    fields = [field.alias or name for name, field in command.model_fields.items()]
    assert first_cells(section(type_, "Command")) == fields
    told = [field.alias or name for name, field in command.result.model_fields.items()]
    assert first_cells(section(type_, "Result")) == told
    assert set(first_cells(section(type_, "Errors"))) <= {*Code}


@pytest.mark.parametrize("type_", PAGES)
def test_the_messages_shown_satisfy_the_schemas(type_: str) -> None:
    (command,) = blocks(section(type_, "Command"))
    events = blocks(section(type_, "Events"))
    assert parse(json.dumps(command).encode()).type == type_
    for message in (command, *events):
        assert message["type"].startswith(type_)
        jsonschema.Draft202012Validator(SCHEMAS[f"{message['type']}.json"]).validate(message)
    ours = [event for event in events if event["subject"] == command["id"]]
    outcomes = [event["type"].rpartition(".")[2] for event in ours]
    assert outcomes[0] == "accepted"
    assert outcomes[-1] == "completed"
    assert [int(event["sequence"]) for event in ours] == list(range(1, len(ours) + 1))
    shown = [*events, command]
    assert len(blocks(PAGES[type_])) == len(shown)


@pytest.mark.parametrize("type_", PAGES)
def test_steps_that_events_name_are_among_those_listed(type_: str) -> None:
    steps = set(steps_of(type_))
    for stage, command in STAGES.items():
        if f"{stage}: …" in steps:
            steps |= {f"{stage}: {step}" for step in steps_of(command)}
    for event in blocks(section(type_, "Events")):
        told = event["data"].get("progress") or event["data"].get("error") or {}
        if step := told.get("step"):
            assert step.rstrip("0123456789") in steps
