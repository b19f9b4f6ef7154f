from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from messages import examples
from messages.catalogue import COMMANDS, QUEUES
from messages.errors import Code
from messages.events import Outcome

DOCS = Path(__file__).parents[3] / "docs"
CONTRACT = (DOCS / "contract.md").read_text()


def rows(text: str) -> dict[str, str]:
    """The lines of all tables by their first cell."""
    return {found[1]: found[2] for found in re.finditer(r"^\| `([^`]+)` \|(.*)\|$", text, re.MULTILINE)}


def test_the_page_lists_every_command_queue_outcome_and_error() -> None:
    table = rows(CONTRACT)
    for name in [*COMMANDS, *QUEUES, *Outcome, *Code]:
        assert name in table
    for queue, key in QUEUES.items():
        assert f"`{key}`" in table[queue]
    for code in Code:
        assert (table[code].rpartition("|")[2].strip() != "no") is code.retryable


@pytest.mark.parametrize("type_", COMMANDS)
def test_the_page_names_every_field_of_a_command_and_its_result(type_: str) -> None:
    command = COMMANDS[type_]
    data, _, result = rows(CONTRACT)[type_].partition(" | ")
    for name, field in command.model_fields.items():
        assert f"`{field.alias or name}`" in data
    for name, field in command.result.model_fields.items():
        assert f"`{field.alias or name}`" in result


def test_the_examples_on_the_page_are_those_of_the_schemas() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", CONTRACT, re.DOTALL)]
    events = [block for block in blocks if "specversion" in block]
    assert len(events) == 9
    shipped = {**examples.commands(), **examples.events()}
    for event in events:
        assert event == shipped[event["type"]]


def test_no_two_commands_share_an_id() -> None:
    assert len({event["id"] for event in examples.commands().values()}) == len(COMMANDS)
