from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from messages import examples
from messages.base import Command
from messages.catalogue import COMMANDS, QUEUES
from messages.errors import Code
from messages.events import Outcome

CONTRACT = (Path(__file__).parents[3] / "docs" / "reference" / "contract.md").read_text(encoding="utf-8")


def rows(text: str) -> dict[str, str]:
    """Return the lines of all tables by their first cell."""
    return {line[1]: line[2] for line in re.finditer(r"^\| \[?`([^`]+)`\S* \|(.*)\|$", text, re.MULTILINE)}


def test_contract_page_lists_every_command_queue_outcome_and_error() -> None:
    table = rows(CONTRACT)
    for name in [*COMMANDS, *QUEUES, *Outcome, *Code]:
        assert name in table
    for queue, key in QUEUES.items():
        assert f"`{key}`" in table[queue]
    for code in Code:
        assert (table[code].rpartition("|")[2].strip() != "no") is code.retryable


def test_examples_on_the_contract_page_are_the_exported_ones() -> None:
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", CONTRACT, re.DOTALL)]
    events = [block for block in blocks if "specversion" in block]
    assert len(events) == 9
    shipped = {**examples.commands(), **examples.events()}
    for event in events:
        assert event == shipped[event["type"]]


def test_examples_have_different_ids() -> None:
    assert len({event["id"] for event in examples.commands().values()}) == len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_example_is_of_the_command_and_its_result(command: type[Command]) -> None:
    example, result = command.example()
    assert type(example) is command
    assert type(result) is command.result


def test_example_is_required_of_a_new_command() -> None:
    class NewCommand(Command):
        """A command of this test."""

    with pytest.raises(NotImplementedError, match="NewCommand has no example"):
        NewCommand.example()
