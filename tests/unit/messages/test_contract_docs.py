from __future__ import annotations

import json
import re
from pathlib import Path

from messages import examples
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
