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
from workers.cli.arguments import build_data, parse_json, parse_options

lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=50)


def test_dots_nest_and_slots_keep_their_names() -> None:
    options = parse_options(["--workflow", "W", "--inputs.My-Slot.file", "a.csv", "--parameters.MaxAge=12"])
    assert build_data(StartJob, {}, options) == {
        "workflow": "W",
        "inputs": {"My-Slot": {"file": "a.csv"}},
        "parameters": {"MaxAge": "12"},
    }


def test_values_are_json_where_the_field_takes_no_text() -> None:
    options = parse_options(["--entities", '[{"name": ["A"]}]', "--delete-project"])
    assert build_data(ResolveEntities, {}, options) == {"entities": [{"name": ["A"]}], "delete_project": True}
    options = parse_options(["--job_id", "1234", "--repeat-effect", "false"])
    assert build_data(RetryJob, {}, options) == {"job_id": "1234", "repeat_effect": False}


def test_a_field_without_a_value_is_no_text() -> None:
    with pytest.raises(typer.BadParameter, match="portfolio_id"):
        build_data(RunMatching, {}, parse_options(["--portfolio-id", "--match-against", "SAFE_NUMBER"]))


@given(lines)
def test_text_stays_text_whatever_it_looks_like(text: str) -> None:
    data = build_data(ImportFile, {}, {"file": "a.csv", "portfolio.name": text})
    assert data["portfolio"] == {"name": text}


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), lines, max_size=5))
def test_options_are_told_apart_by_equals_whatever_they_hold(given_options: dict[str, str]) -> None:
    assert parse_options([f"--{name}={value}" for name, value in given_options.items()]) == given_options


def test_options_go_over_data() -> None:
    base = {"file": "a.csv", "portfolio": {"name": "A"}}
    assert build_data(ImportFile, base, {"portfolio.description": "B"}) == {
        "file": "a.csv",
        "portfolio": {"name": "A", "description": "B"},
    }
    assert base == {"file": "a.csv", "portfolio": {"name": "A"}}


def test_every_bad_field_is_named() -> None:
    with pytest.raises(typer.BadParameter) as wrong:
        build_data(ImportFile, {}, {"portfolio.id": "1", "portfolio.name": "2", "colour": "red"})
    for part in ("file: Field required", "portfolio: give either", "colour: Extra"):
        assert part in str(wrong.value)


@pytest.mark.parametrize(
    "arguments", [["--a", "1", "--a", "2"], ["file"], ["--a..b", "1"], ["--", "1"], ["--a", "1", "2"]]
)
def test_what_is_no_field_and_value_is_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        parse_options(arguments)


def test_a_field_cannot_be_both_whole_and_part() -> None:
    with pytest.raises(typer.BadParameter, match="as a whole"):
        build_data(ImportFile, {"portfolio": "x"}, {"portfolio.name": "A"})
    with pytest.raises(typer.BadParameter, match="JSON object"):
        build_data(RunMatching, [], {})


def test_json_comes_from_the_argument_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"a": 1}')
    assert parse_json("--data", f"@{tmp_path}/data.json") == parse_json("--data", '{"a":1}') == {"a": 1}
    for wrong in ("{", "@nowhere.json"):
        with pytest.raises(typer.BadParameter, match="--data: "):
            parse_json("--data", wrong)
