"""`sayari.trace_relationships` and `sayari.fetch_entities` against the simulator, with things going wrong in between."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.sayari.graph_shapes import Entity
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from sandbox.sayari.register import register
from tests.support.sandbox_harness import SandboxHarness, completed, content, failure
from tests.support.turn_harness import LIMITS
from workers.jobs.sayari.entity import line_of

IDS = {entity.label: entity.id for entity in register().entities.values()}
TESCO, BOOKER, GAZPROM_NEFT = (
    IDS[label]
    for label in ("Tesco PLC", "Booker Limited", "Public Joint Stock Company Gazprom Neft")
)  # fmt: skip
TABLE = f"name,entity_id,name\r\nTesco,{TESCO},\r\nNobody,nobody-at_all,\r\nBooker,{BOOKER},\r\n"
TRACE, FETCH = "sayari.trace_relationships", "sayari.fetch_entities"


def objects(file: dict[str, Any]) -> list[dict[str, Any]]:
    """The objects of a result, once what is said of it is checked."""
    written = content(file)
    found = [json.loads(line) for line in written.split(b"\n")[:-1]]
    assert file["media_type"] == "application/x-ndjson"
    assert (file["records"], file["bytes"]) == (len(found), len(written))
    assert file["sha256"] == hashlib.sha256(written).hexdigest()
    return found


def ids(file: dict[str, Any]) -> list[str]:
    rows = list(csv.reader(io.StringIO(content(file).decode())))
    assert rows[0] == ["entity_id"]
    assert file["records"] == len(rows) - 1
    return [id for (id,) in rows[1:]]


def in_small_pieces(harness: SandboxHarness) -> None:
    """A turn for every page, and pages of one."""
    harness.limit(replace(LIMITS, time_slice=0))
    harness.state.page_limit = 1


def trouble(harness: SandboxHarness, operation: str) -> None:
    for fault in (
        Fault("lost_after"),
        Fault("status", status=429, retry_after=0),
        Fault("status", status=503),
        Fault("expire"),
        Fault("lost_before"),
    ):
        harness.fault(operation, fault)


# -- trace_relationships --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "operation", "start"),
    [
        ("ubo", "ubo", BOOKER),
        ("downstream", "downstream", TESCO),
        ("watchlist", "watchlist", GAZPROM_NEFT),
        ("traversal", "traverse", BOOKER),
    ],
)
def test_paths_are_a_row_for_every_hop(
    harness: SandboxHarness, kind: str, operation: str, start: str
) -> None:
    result = completed(harness.run(TRACE, entity_ids=[start], kind=kind))
    given = getattr(harness.sayari.traversals, operation)(start).data
    rows = objects(result["paths"])
    assert given
    assert [(row["path"], row["hop"]) for row in rows] == [
        (number, hop) for number, path in enumerate(given, 1) for hop in range(1, len(path.path) + 1)
    ]
    for row in rows:
        path = given[row["path"] - 1]
        segments = path.path
        near = segments[row["hop"] - 2].entity.id if row["hop"] > 1 else start
        assert row.items() >= segments[row["hop"] - 1].given.items()
        assert row["from"], row["to"] == (near, segments[row["hop"] - 1].entity.id)
        assert row["relationship_types"] == list(row["relationships"])
        assert (row["entity_id"], row["hops"], row["target"]) == (start, len(segments), path.target.id)
    assert (result["entities"], ids(result["missing"])) == (1, [])


def test_paths_are_the_same_whatever_happens(harness: SandboxHarness) -> None:
    file = harness.file(TABLE)
    quiet = completed(harness.run(TRACE, "quiet", file=file, kind="traversal"))
    assert ids(quiet["missing"]) == ["nobody-at_all"]
    assert {row["entity_id"] for row in objects(quiet["paths"])} == {TESCO, BOOKER}
    assert quiet["entities"] == 3

    in_small_pieces(harness)
    trouble(harness, "sayari.traversals.traverse")
    loud = completed(harness.run(TRACE, "loud", file=file, kind="traversal"))
    for name in ("paths", "missing"):
        assert loud[name]["sha256"] == quiet[name]["sha256"]


def test_arguments_are_sayaris(harness: SandboxHarness) -> None:
    harness.state.page_limit = 1
    options = {"offset": 1, "limit": 2, "max_depth": 2, "countries": ["GBR"], "types": ["company"]}
    result = completed(harness.run(TRACE, entity_ids=[TESCO], kind="traversal", options=options))
    harness.state.page_limit = 50
    given = harness.sayari.traversals.traverse(TESCO, **options).data  # type: ignore[arg-type]
    rows = objects(result["paths"])
    assert len(given) == 2
    assert [row["target"] for row in rows if row["hop"] == row["hops"]] == [path.target.id for path in given]
    assert {row["path"] for row in rows} == {1, 2}


def test_the_rate_of_traversals_suspends(harness: SandboxHarness) -> None:
    harness.fault("sayari.traversals.ubo", Fault("status", status=429, retry_after=30))
    job = harness.arrive(TRACE, entity_ids=[BOOKER], kind="ubo")
    assert job.status is Status.RUNNING
    assert job.due_at is not None
    assert job.due_at - harness.ledger.database.now() > 25
    assert objects(completed(harness.drive())["paths"])


# -- fetch_entities -------------------------------------------------------------------------------------


def whole(given: dict[str, Any]) -> dict[str, Any]:
    """An entity whose lists are on one page, as a result holds it."""

    def plain(page: dict[str, Any]) -> dict[str, Any]:
        assert "next" not in page
        return {key: value for key, value in page.items() if key != "limit"}

    lists = ("relationships", "possibly_same_as", "referenced_by")
    attributes = {field: plain(page) for field, page in given["attributes"].items()}
    return given | {"attributes": attributes} | {name: plain(given[name]) for name in lists}


def test_full_entities_have_every_page_of_every_list(harness: SandboxHarness) -> None:
    in_small_pieces(harness)
    trouble(harness, "sayari.entities.get")
    result = completed(harness.run(FETCH, file=harness.file(TABLE)))
    calls = harness.state.calls["sayari.entities.get"]
    harness.state.page_limit = 1_000
    given = [harness.sayari.entities.get(id).given for id in (TESCO, BOOKER)]
    assert objects(result["entities"]) == [whole(each) for each in given]
    assert ids(result["missing"]) == ["nobody-at_all"]
    pages = sum(
        len(page["data"]) - 1
        for entity in map(whole, given)
        for page in [*entity["attributes"].values(), *(entity[name] for name in entity if name.startswith("ref") or name == "relationships")]
    )  # fmt: skip
    assert pages > 5
    needed = 3 + pages + 5  # 5 for the trouble
    # each trouble, and each slice that ends inside one of two entities, repeats what is at work behind it
    assert needed <= calls <= needed + 2 * (5 + 2)


def test_tokens_of_one_list_may_be_those_of_another(harness: SandboxHarness) -> None:
    """The simulator's count from the end: the last page of records and the first of two names are `2` both."""
    harness.state.page_limit = 1
    chosen = [each.id for each in register().entities.values() if each.links and len(each.names) == 2]
    assert chosen
    found = objects(completed(harness.run(FETCH, entity_ids=chosen))["entities"])
    assert [entity["id"] for entity in found] == chosen
    for entity in found:
        for name in ("relationships", "possibly_same_as", "referenced_by"):
            assert len(entity[name]["data"]) == entity[name]["size"]["count"]


def test_an_entity_that_goes_between_two_pages_leaves_no_half_line(harness: SandboxHarness) -> None:
    in_small_pieces(harness)
    harness.arrive(FETCH, entity_ids=[TESCO, BOOKER])
    while harness.state.calls["sayari.entities.get"] < 2:
        harness.turn()
    harness.fault("sayari.entities.get", Fault("status", status=404))
    result = completed(harness.drive())
    assert [entity["id"] for entity in objects(result["entities"])] == [BOOKER]
    assert ids(result["missing"]) == [TESCO]


def test_summaries_are_as_sayari_gives_them(harness: SandboxHarness) -> None:
    result = completed(harness.run(FETCH, entity_ids=[TESCO, "nobody", TESCO], detail="summary"))
    assert objects(result["entities"]) == [harness.sayari.entities.summary(TESCO).given] * 2
    assert ids(result["missing"]) == ["nobody"]


@pytest.mark.parametrize(
    ("format", "media_type", "start"),
    [("pdf", "application/pdf", b"%PDF"), ("xlsx", "application/vnd.ms-excel", b"PK"), ("csv", "text/csv", b"attribute,value")],
)  # fmt: skip
def test_files_of_sayaris_own_making(
    harness: SandboxHarness, format: str, media_type: str, start: bytes
) -> None:
    in_small_pieces(harness)
    trouble(harness, "sayari.entities.get")
    result = completed(harness.run(FETCH, file=harness.file(TABLE), format=format))
    files = result["entities"]
    names = [file["uri"].rpartition("/")[2] for file in files]
    assert names == [f"entity-0001-{TESCO}.{format}", f"entity-0003-{BOOKER}.{format}"]
    for file in files:
        assert (file["media_type"], file["records"]) == (media_type, None)
        assert file["sha256"] == hashlib.sha256(content(file)).hexdigest()
        assert content(file).startswith(start)
    assert ids(result["missing"]) == ["nobody-at_all"]
    stored = {path.name for path in (harness.folder / "results/job").iterdir()}
    assert stored == {*names, "missing.csv"}


def test_too_many_files_are_refused_before_the_first(harness: SandboxHarness) -> None:
    file = harness.file("entity_id\n" + f"{TESCO}\n" * 1_001)
    message = failure(harness.run(FETCH, file=file, format="pdf"), Code.INPUT_INVALID)
    assert message.startswith("1001 entities as pdf are too many files")
    assert not harness.state.calls


def test_a_lost_result_is_written_again(harness: SandboxHarness) -> None:
    in_small_pieces(harness)
    harness.arrive(FETCH, file=harness.file(TABLE))
    while not (parts := list(harness.folder.glob("results/job/entities.jsonl.part"))):
        harness.turn()
    parts[0].unlink()
    result = completed(harness.drive())
    assert [entity["id"] for entity in objects(result["entities"])] == [TESCO, BOOKER]
    assert ids(result["missing"]) == ["nobody-at_all"]


def test_what_a_crash_leaves_behind_is_cut_off(harness: SandboxHarness) -> None:
    """Written but not recorded: rows of an entity, and an id that was missing and is not any more."""
    in_small_pieces(harness)
    harness.arrive(FETCH, entity_ids=[TESCO, BOOKER], detail="summary")
    while harness.state.calls["sayari.entities.summary"] < 2:
        harness.turn()
    for name, rubbish in (("entities.jsonl", "{}\n"), ("missing.csv", f"{BOOKER}\r\n")):
        with (harness.folder / f"results/job/{name}.part").open("a") as part:
            part.write(rubbish)
    result = completed(harness.drive())
    assert [entity["id"] for entity in objects(result["entities"])] == [TESCO, BOOKER]
    assert ids(result["missing"]) == []


# -- what both have in common ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id\na\n", "companies.csv, line 1: there is no column entity_id"),
        ("entity_id,x,entity_id\na,b,c\n", "companies.csv, line 1: there is more than one column entity_id"),
        ("x,entity_id\n1,a\n2,\n", "companies.csv, line 3, column 2 (entity_id): empty"),
        ("entity_id\na\nTesco PLC\n", "companies.csv, line 3, column 1 (entity_id): not the id of an entity"),
        ("entity_id\n../project/x\n", "companies.csv, line 2, column 1 (entity_id): not the id of an entity"),
        ("entity_id\n", "companies.csv holds no ids"),
        ("", "companies.csv, line 1: "),
    ],
)
def test_a_bad_file_costs_no_call(harness: SandboxHarness, text: str, words: str) -> None:
    message = failure(harness.run(FETCH, file=harness.file(text)), Code.INPUT_INVALID)
    assert message.startswith(words)
    assert not harness.state.calls


def test_a_file_that_changes_meanwhile(harness: SandboxHarness) -> None:
    in_small_pieces(harness)
    harness.arrive(TRACE, file=harness.file(TABLE), kind="ubo")
    while harness.state.calls["sayari.traversals.ubo"] < 1:
        harness.turn()
    harness.file(TABLE + f"More,{TESCO},\r\n")
    assert "has changed" in failure(harness.drive(), Code.INPUT_INVALID)


items = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=1), max_size=4)


@given(
    st.dictionaries(st.text(min_size=1, max_size=4), items, max_size=2),
    st.dictionaries(st.sampled_from(["relationships", "possibly_same_as", "referenced_by"]), items),
    st.integers(1, 3),
    st.lists(st.booleans(), max_size=20),
)
def test_a_line_is_the_same_however_it_is_paged(
    attributes: dict[str, list[Any]], lists: dict[str, list[Any]], size: int, empty: list[bool]
) -> None:
    """Some pages are `empty`, in the middle too; tokens are places in the list."""
    relationship = {"target": {"id": "x"}, "entity": {"id": "x"}, "record": {"id": "x"}}
    lists = {name: [relationship | item for item in values] for name, values in lists.items()}

    def page(values: list[Any], start: int) -> dict[str, Any]:
        end = start if empty and empty.pop() else start + size
        more = {"next": f"{start}.{end}"} if end < len(values) else {}
        return {
            "limit": size,
            "size": {"count": len(values), "qualifier": "eq"},
            "data": values[start:end],
        } | more

    written, rest = b"", None
    while True:
        name, start = (rest["list"], int(rest["next"].partition(".")[2])) if rest else (None, 0)
        answer = {"id": "a", "label": "ü"} | {
            "attributes": {field: page(values, start if f"attributes.{field}" == name else 0) for field, values in attributes.items()}
        } | {key: page(values, start if key == name else 0) for key, values in lists.items()}  # fmt: skip
        more, rest = line_of(Entity.model_validate(answer), rest)
        written += more
        if rest is None:
            break
    assert written.endswith(b"}\n")
    assert written.count(b"\n") == 1

    def told(values: list[Any]) -> dict[str, Any]:
        return {"size": {"count": len(values), "qualifier": "eq"}, "data": values}

    expected = {"id": "a", "label": "ü"} | {name: told(values) for name, values in lists.items()}
    if attributes:
        expected["attributes"] = {field: told(values) for field, values in attributes.items()}
    assert json.loads(written) == expected
