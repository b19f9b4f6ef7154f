"""The generated parts of the reference pages, as Markdown.

A page holds a generated part between two comments; the rest of the page is written by hand:

    <!-- generated: command -->
    <!-- /generated -->

`<!-- commands -->` … `<!-- /commands -->` holds the table of all commands, with links relative to the page.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from messages.base import File
from messages.catalogue import COMMANDS
from messages.envelope import Envelope
from messages.events import EventData, Outcome
from messages.field_tables import attribute_table, command_table, markdown_table, sent_table
from messages.schemas import DATA, JobEvent

_PART = re.compile(r"(<!-- generated: (\S+) -->\n).*?(<!-- /generated -->)", re.DOTALL)
_COMMANDS = re.compile(r"(<!-- commands -->\n).*?(<!-- /commands -->)", re.DOTALL)
#: Where the pages of the commands are, from the root of the repository.
COMMANDS_FOLDER = Path("docs/reference/commands")


def refresh_page(text: str, path: Path) -> str:
    """Return a page with its generated parts up to date.

    Args:
        text: the page as it is.
        path: where it is, from the root of the repository. A command's page is called `<type>.md`.

    Raises:
        KeyError: the page has a marker of a part that does not exist.
    """
    parts = _command_parts(path.stem) if path.stem in COMMANDS else _SHARED_PARTS
    text = _PART.sub(lambda match: f"{match[1]}\n{parts[match[2]]()}\n\n{match[3]}", text)
    return _COMMANDS.sub(lambda match: f"{match[1]}\n{catalogue_table(path)}\n\n{match[2]}", text)


def catalogue_table(path: Path) -> str:
    """Return the table of all commands, with links from the page at `path`."""
    folder = Path(os.path.relpath(COMMANDS_FOLDER, path.parent)).as_posix()
    rows = [[f"[`{type_}`]({folder}/{type_}.md)", _summary(command)] for type_, command in COMMANDS.items()]
    return markdown_table(["Command", "What it does"], rows)


def _command_parts(type_: str) -> dict[str, Callable[[], str]]:
    return {
        "command": lambda: command_table(COMMANDS[type_]),
        "result": lambda: sent_table(COMMANDS[type_].result),
        "events": lambda: _event_table(type_),
    }


def _event_table(type_: str) -> str:
    rows = [
        [f"[`{type_}.{outcome}`](../../contract/{type_}.{outcome}.json)", *_outcome_cells(outcome)]
        for outcome in Outcome
    ]
    return markdown_table(["Event", "When", "Fields beside the [common ones](../events.md)"], rows)


def _outcome_table() -> str:
    rows = [[f"`{outcome}`", *_outcome_cells(outcome)] for outcome in Outcome]
    return markdown_table(["Outcome", "When", "Fields beside the common ones"], rows)


def _outcome_cells(outcome: Outcome) -> list[str]:
    names = [name for name in DATA[outcome].model_fields if name not in _COMMON_FIELDS]
    return [_summary(DATA[outcome]), ", ".join(f"`{name}`" for name in names)]


def _summary(model: type[BaseModel]) -> str:
    return str(model.__doc__).partition("\n")[0]


#: The fields that the data of every event about a job has.
_COMMON_FIELDS = set.intersection(
    *(set(data.model_fields) for outcome, data in DATA.items() if outcome is not Outcome.REJECTED)
)
_SHARED_PARTS: dict[str, Callable[[], str]] = {
    "command-attributes": lambda: attribute_table(Envelope, sent=False),
    "event-attributes": lambda: attribute_table(JobEvent, sent=True),
    "event-data": lambda: sent_table(EventData),
    "file": lambda: sent_table(File),
    "outcomes": _outcome_table,
}
