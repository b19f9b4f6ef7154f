"""`--field value` becomes data: text where the field takes text, JSON where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from messages.control import RetryJob
from messages.creditsafe import ImportFile, RunMatching
from messages.data8 import StartJob
from messages.sayari import ResolveEntities
from workers.cli.arguments import data_of, json_of, options_of

lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50)


def test_dots_nest_and_slots_keep_their_names() -> None:
    options = options_of(["--workflow", "W", "--inputs.My-Slot.file", "a.csv", "--parameters.MaxAge=12"])
    assert data_of(StartJob, {}, options) == {
        "workflow": "W",
        "inputs": {"My-Slot": {"file": "a.csv"}},
        "parameters": {"MaxAge": "12"},
    }


def test_values_are_json_where_the_field_takes_no_text() -> None:
    options = options_of(["--entities", '[{"name": ["A"]}]', "--delete-project"])
    assert data_of(ResolveEntities, {}, options) == {"entities": [{"name": ["A"]}], "delete_project": True}
    options = options_of(["--job_id", "1234", "--repeat-effect", "false"])
    assert data_of(RetryJob, {}, options) == {"job_id": "1234", "repeat_effect": False}


def test_a_field_without_a_value_is_no_text() -> None:
    with pytest.raises(typer.BadParameter, match="portfolio_id"):
        data_of(RunMatching, {}, options_of(["--portfolio-id", "--match-against", "SAFE_NUMBER"]))


@given(lines)
def test_text_stays_text_whatever_it_looks_like(text: str) -> None:
    data = data_of(ImportFile, {}, {"file": "a.csv", "portfolio.name": text})
    assert data["portfolio"] == {"name": text}


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), lines, max_size=5))
def test_options_are_told_apart_by_equals_whatever_they_hold(given_options: dict[str, str]) -> None:
    assert options_of([f"--{name}={value}" for name, value in given_options.items()]) == given_options


def test_options_go_over_data() -> None:
    base = {"file": "a.csv", "portfolio": {"name": "A"}}
    assert data_of(ImportFile, base, {"portfolio.description": "B"}) == {
        "file": "a.csv",
        "portfolio": {"name": "A", "description": "B"},
    }
    assert base == {"file": "a.csv", "portfolio": {"name": "A"}}


def test_every_bad_field_is_named() -> None:
    with pytest.raises(typer.BadParameter) as wrong:
        data_of(ImportFile, {}, {"portfolio.id": "1", "portfolio.name": "2", "colour": "red"})
    for part in ("file: Field required", "portfolio: give either", "colour: Extra"):
        assert part in str(wrong.value)


@pytest.mark.parametrize(
    "arguments", [["--a", "1", "--a", "2"], ["file"], ["--a..b", "1"], ["--", "1"], ["--a", "1", "2"]]
)
def test_what_is_no_field_and_value_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        options_of(arguments)


def test_a_field_cannot_be_both_whole_and_part() -> None:
    with pytest.raises(typer.BadParameter, match="as a whole"):
        data_of(ImportFile, {"portfolio": "x"}, {"portfolio.name": "A"})
    with pytest.raises(typer.BadParameter, match="JSON object"):
        data_of(RunMatching, [], {})


def test_json_comes_from_the_argument_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"a": 1}')
    assert json_of("--data", f"@{tmp_path}/data.json") == json_of("--data", '{"a":1}') == {"a": 1}
    for wrong in ("{", "@nowhere.json"):
        with pytest.raises(typer.BadParameter, match="--data: "):
            json_of("--data", wrong)
