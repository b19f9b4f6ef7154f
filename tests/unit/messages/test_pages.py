"""The generated parts of the reference pages: up to date, and with a meaning for every field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from messages.base import Model
from messages.catalogue import COMMANDS
from messages.envelope import Envelope
from messages.events import EventData, Outcome
from messages.field_tables import FieldRow, command_table, field_rows
from messages.meanings import field_meanings
from messages.pages import catalogue_table, refresh_page
from messages.schemas import DATA, JobEvent

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODELS: list[type[BaseModel]] = [
    *COMMANDS.values(),
    *(command.result for command in COMMANDS.values()),
    Envelope,
    JobEvent,
    EventData,
]


def row(rows: list[FieldRow], path: str) -> FieldRow:
    return next(row for row in rows if row.path == path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_generated_parts_of_a_page_are_up_to_date(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = page.read_text(encoding="utf-8")
    assert refresh_page(text, page.relative_to(ROOT)) == text, "run `make contract`"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_meaning(model: type[BaseModel]) -> None:
    undescribed = [
        row.path for row in field_rows(model) if not row.meaning and not row.path.startswith("data.")
    ]
    assert not undescribed, "write a string below the field in its class"


@pytest.mark.parametrize("outcome", Outcome)
def test_event_data_has_the_fields_of_every_outcome(outcome: Outcome) -> None:
    assert DATA[outcome].model_fields.keys() <= EventData.model_fields.keys()


@pytest.mark.parametrize("type_", COMMANDS)
def test_command_table_has_a_row_for_every_field(type_: str) -> None:
    table = command_table(COMMANDS[type_])
    for name, field in COMMANDS[type_].model_fields.items():
        assert f"\n| `{field.alias or name}` | " in table


def test_rows_show_nested_fields_of_maps_and_lists() -> None:
    start_job = list(field_rows(COMMANDS["data8.start_job"]))
    add_records = list(field_rows(COMMANDS["creditsafe.add_records"]))

    assert row(start_job, "inputs").type == "map of objects"
    assert "exactly one of `file` and `dataset`" in row(start_job, "inputs").limits
    assert row(start_job, "inputs.*.file").type == "string or null"
    assert row(start_job, "workflow").need == "required"
    assert row(start_job, "format").need == "`csv`"
    assert row(add_records, "records").limits == "1 to 3,000 items; at least one of the fields"
    assert row(add_records, "records[].personalID").limits == "at most 2,000 characters"


def test_rows_link_to_files_and_to_the_results_of_other_commands() -> None:
    rows = list(field_rows(COMMANDS["portfolio.process"].result))

    assert row(rows, "report").type == "[File](../contract.md#files)"
    enrich = "[result of `creditsafe.enrich`](creditsafe.enrich.md#result) or null"
    assert row(rows, "enrich").type == enrich
    assert not [row for row in rows if "." in row.path]


class Choice(Model):
    """A model of this test."""

    either: str = Field(pattern="^(a|b)$")


def test_pattern_with_a_bar_stays_in_its_cell() -> None:
    assert [row.limits for row in field_rows(Choice)] == [r"matches `^(a\|b)$`"]


class Documented(Model):
    """A model of this test."""

    above: str = Field(alias="Above", description="in the schema")
    """Below the
    field.
    """
    described: str = Field(description="in the schema")
    bare: str


def test_meaning_is_the_string_below_the_field_or_else_the_description() -> None:
    assert field_meanings(Documented) == {
        "Above": "Below the field.",
        "described": "in the schema",
        "bare": "",
    }


def test_meanings_stay_out_of_the_schema() -> None:
    assert "Below the field" not in str(Documented.model_json_schema())


def test_refresh_replaces_what_is_between_the_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = "Mine.\n\n<!-- commands -->\nold\n<!-- /commands -->\n\nMine too.\n"
    table = catalogue_table(Path("README.md"))

    refreshed = refresh_page(page, Path("README.md"))

    assert refreshed == f"Mine.\n\n<!-- commands -->\n\n{table}\n\n<!-- /commands -->\n\nMine too.\n"
    assert "(docs/reference/commands/job.cancel.md)" in table
    assert "(commands/job.cancel.md)" in catalogue_table(Path("docs/reference/contract.md"))


def test_refresh_refuses_an_unknown_part() -> None:
    with pytest.raises(KeyError, match="outcome"):
        refresh_page("<!-- generated: outcome -->\n<!-- /generated -->\n", Path("docs/page.md"))
