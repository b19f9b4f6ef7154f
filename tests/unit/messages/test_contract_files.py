"""The files in `docs/contract`: up to date, valid, and changed by addition only."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from typer.testing import CliRunner

from messages.compatibility import breaking
from messages.schemas import schemas
from workers.cli.commands.contract import app, contract_files

FOLDER = Path(__file__).parents[3] / "docs" / "contract"
SCHEMAS = {
    path.name: json.loads(path.read_text()) for path in FOLDER.glob("*.json") if path.name != "asyncapi.json"
}
EXAMPLES = sorted(FOLDER.glob("examples/*.json"))


def test_contract_changes_by_addition_only() -> None:
    broken = breaking(SCHEMAS, schemas())
    assert not broken, "a change that is not additive needs a new command:\n" + "\n".join(broken)


def test_contract_files_are_up_to_date() -> None:
    shipped = {name: text for name, text in contract_files().items() if name != "asyncapi.json"}
    existing = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()} - {
        "asyncapi.json"
    }
    stale = sorted(existing ^ shipped.keys()) + [
        name
        for name in existing & shipped.keys()
        if (FOLDER / name).read_text(encoding="utf-8") != shipped[name]
    ]
    assert not stale, f"run `make contract`: {', '.join(stale[:10])}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example_satisfies_its_schema(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMAS[path.name])
    validator.validate(json.loads(path.read_text(encoding="utf-8")))


def test_every_message_has_an_example() -> None:
    assert [path.name for path in EXAMPLES] == sorted(SCHEMAS)


def test_contract_command_updates_the_pages_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "docs" / "reference"
    folder.mkdir(parents=True)
    stale, other = folder / "events.md", folder / "other.md"
    stale.write_text("# Events\n\n<!-- generated: outcomes -->\nold\n<!-- /generated -->\n")
    other.write_text("# By hand\n")

    result = CliRunner().invoke(
        app, ["--output", str(tmp_path / "contract"), "--pages", str(tmp_path / "docs")]
    )

    assert result.exit_code == 0
    assert "old" not in stale.read_text()
    assert "| `progressed` | The job moved on. | `progress` |" in stale.read_text()
    assert other.read_text() == "# By hand\n"
