"""The Creditsafe jobs against the stand-in, turn by turn."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.creditsafe import RECORD_FIELDS, Creditsafe, MatchingExecution, NewRecord
from messages.errors import Code
from messages.events import Status
from sandbox import Sandbox
from sandbox.core import Fault, World
from tests.workers.bench import LIMITS, command
from workers.errors import JobFailed
from workers.jobs import control, creditsafe, creditsafe_parts
from workers.jobs.creditsafe import matching, summary_of
from workers.jobs.creditsafe_parts import packed, parts_of, read_through
from workers.jobs.registry import JOBS, Tools
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job
from workers.storage import Storage
from workers.turns import Turns

assert control  # its jobs are registered by importing it


class Clock:
    """Epoch seconds that a test can move."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A ledger, turns driven by hand, and the stand-in."""

    def __init__(self, folder: Path, sandbox: Sandbox, database: Database) -> None:
        self.folder = folder
        self.world = sandbox.world
        self.client = Creditsafe.connect(f"{sandbox.url}/creditsafe", "sandbox", "sandbox", timeout=5)
        self.ledger = Ledger(database)
        storage = Storage([str(folder)], str(folder / "results"))
        tools = Tools(storage, self.ledger, 60.0, creditsafe_client=self.client)
        self.turns = Turns(self.ledger, JOBS, tools, LIMITS, 60.0)

    def file(self, content: str | bytes, name: str = "companies.csv") -> str:
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def run(self, type: str, id: str = "job", turns: int = 50, **data: Any) -> Job:
        """Send a command and take turns until its job has ended."""
        self.turns.arrive(command(id, type, **data))
        return self.drive(id, turns)

    def drive(self, id: str = "job", turns: int = 50) -> Job:
        for _ in range(turns):
            job = self.job(id)
            if job.status.ended:
                return job
            self.turns.take(id, job.turn)
        raise AssertionError(f"{id} has not ended after {turns} turns")

    def job(self, id: str = "job") -> Job:
        job = self.ledger.job(id)
        assert job is not None
        return job

    def fault(self, operation: str, fault: Fault) -> None:
        self.world.faults[f"creditsafe.{operation}"].append(fault)

    def effects(self, operation: str) -> int:
        return sum(n for (name, _), n in self.world.effects.items() if name == f"creditsafe.{operation}")

    def records(self, portfolio_id: str) -> list[dict[str, Any]]:
        """The uploaded fields of a portfolio's records."""
        return [record.model_extra or {} for record in self.client.records.all(portfolio_id)]


@pytest.fixture
def rig(tmp_path: Path, sqlite_url: str) -> Iterator[Rig]:
    database = Database(sqlite_url)
    database.upgrade()
    with Sandbox(world=World(job_seconds=0, queue_seconds=0, clock=Clock())) as sandbox:
        made = Rig(tmp_path, sandbox, database)
        yield made
        made.client.close()
    database.close()


def failure(job: Job, code: Code) -> str:
    assert job.status is Status.FAILED
    assert job.error is not None
    assert job.error["code"] == code, job.error
    return str(job.error["message"])


def table(rows: int) -> str:
    return "name,reference\r\n" + "".join(f'"Company ""{n}""\r\nLtd",{n}\r\n' for n in range(rows))


# -- import_file ------------------------------------------------------------------------------------------


def test_a_file_becomes_a_new_portfolio(rig: Rig) -> None:
    text = 'name,town,reference\n"Nestlé S.A.",Vevey,1\n"two\nlines, ""quoted""",,2\n'
    portfolio = {"name": "Suppliers", "description": "of 2026"}
    job = rig.run("creditsafe.import_file", file=rig.file(text), portfolio=portfolio)
    assert job.result is not None, job.error
    assert (job.result["records"], job.result["parts"]) == (2, 1)
    assert rig.records(job.result["portfolio_id"]) == list(csv.DictReader(io.StringIO(text, newline="")))
    found = rig.client.portfolios.get(job.result["portfolio_id"])
    assert (found.name, found.description) == ("Suppliers", "of 2026 [kyb:job]")


def test_a_file_joins_an_existing_portfolio(rig: Rig) -> None:
    portfolio_id = rig.client.portfolios.create("Ours").portfolio_id
    rig.client.records.create(portfolio_id, [NewRecord(name="First")])
    job = rig.run("creditsafe.import_file", file=rig.file(table(2)), portfolio={"id": portfolio_id})
    assert job.result == {"portfolio_id": portfolio_id, "records": 2, "parts": 1}
    assert len(rig.records(portfolio_id)) == 3
    assert rig.effects("portfolios.create") == 1


def test_a_portfolio_that_is_not_there_is_the_vendors_refusal(rig: Rig) -> None:
    job = rig.run("creditsafe.import_file", file=rig.file(table(2)), portfolio={"id": "gone"})
    assert "not found" in failure(job, Code.VENDOR_REJECTED)


@pytest.mark.parametrize("name", ["Large", "Large [async]"])
def test_a_large_file_goes_in_parts(rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(creditsafe_parts, "PART_LIMIT", 300)
    monkeypatch.setattr(creditsafe_parts, "GZIP_FROM", 200)
    job = rig.run("creditsafe.import_file", file=rig.file(table(40)), portfolio={"name": name})
    assert job.result is not None, job.error
    assert job.result["records"] == 40
    assert job.result["parts"] == rig.effects("records.import_file") > 3
    assert rig.records(job.result["portfolio_id"]) == list(csv.DictReader(io.StringIO(table(40), newline="")))


@pytest.mark.parametrize(
    ("text", "place", "named"),
    [
        ("name,Town\r\nx,y\r\n", "companies.csv, line 1, column 2", "'Town'"),
        (
            "Jane Roe,London\r\nJohn Doe,Leeds\r\n",
            "companies.csv, line 1, column 1",
            "not the name of a field",
        ),
        ("name,name\r\nx,y\r\n", "companies.csv, line 1, column 2", "same header"),
        ("name,town\r\nx,y\r\nz\r\n", "companies.csv, line 3, column 2", "1 cells"),
        ("name,town\r\n", "companies.csv", "no records"),
        ("name\r\n\xff\r\n".encode("latin-1"), "companies.csv, line 2, column 1", "UTF-8"),
    ],
)
def test_a_bad_file_costs_nothing_at_the_vendor(rig: Rig, text: str | bytes, place: str, named: str) -> None:
    job = rig.run("creditsafe.import_file", file=rig.file(text), portfolio={"name": "Suppliers"})
    message = failure(job, Code.INPUT_INVALID)
    assert message.startswith(place)
    assert named in message
    assert "Jane" not in str(job.error)
    assert not rig.world.calls


def test_a_file_that_changes_meanwhile_is_not_sent(rig: Rig) -> None:
    rig.fault("portfolios.create", Fault("status", status=429))
    file = rig.file(table(2))
    rig.turns.arrive(command("job", "creditsafe.import_file", file=file, portfolio={"name": "Suppliers"}))
    rig.file(table(3))
    assert "has changed" in failure(rig.drive(), Code.INPUT_INVALID)
    assert not rig.effects("records.import_file")


@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
@pytest.mark.parametrize("operation", ["portfolios.create", "records.import_file"])
def test_lost_answers_are_made_good(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, operation: str, kind: str
) -> None:
    monkeypatch.setattr(creditsafe_parts, "PART_LIMIT", 300)
    rig.client.portfolios.create("Suppliers", "of another job [kyb:job2]")
    rig.world.effects.clear()
    rig.fault(operation, Fault(kind))
    job = rig.run("creditsafe.import_file", file=rig.file(table(20)), portfolio={"name": "Suppliers"})
    assert job.result is not None, job.error
    assert job.retries == 1
    assert rig.effects("portfolios.create") == 1
    assert rig.effects("records.import_file") == job.result["parts"]
    assert len(rig.records(job.result["portfolio_id"])) == 20


def test_a_portfolio_that_somebody_else_fills_leaves_a_lost_import_undecided(rig: Rig) -> None:
    portfolio_id = rig.client.portfolios.create("Ours").portfolio_id
    rig.fault("records.import_file", Fault("lost_after"))
    file = rig.file(table(3))
    rig.turns.arrive(command("job", "creditsafe.import_file", file=file, portfolio={"id": portfolio_id}))
    rig.client.records.create(portfolio_id, [NewRecord(name="Another")])
    assert "grown by 4" in failure(rig.drive(), Code.OUTCOME_UNKNOWN)
    assert rig.effects("records.import_file") == 1


def test_a_lost_import_in_the_background_is_not_repeated(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creditsafe_parts, "PART_LIMIT", 300)
    file = rig.file(table(20))
    portfolio = {"name": "Slow [async]"}
    rig.turns.arrive(command("job", "creditsafe.import_file", file=file, portfolio=portfolio))
    rig.world.job_seconds = 1_000  # the first part is done, the others take their time
    rig.fault("records.import_file", Fault("lost_after"))
    assert "grown by 0" in failure(rig.drive(), Code.OUTCOME_UNKNOWN)
    assert rig.effects("records.import_file") == 2


def test_rows_that_are_missing_at_the_end_are_noticed(rig: Rig) -> None:
    portfolio_id = rig.client.portfolios.create("Ours").portfolio_id
    created = rig.client.records.create(portfolio_id, [NewRecord(name="Old")]).records
    rig.fault("portfolios.get", Fault("slow"))  # portfolio
    rig.fault("portfolios.get", Fault("slow"))  # count
    rig.fault("portfolios.get", Fault("status", status=503, retry_after=0))  # count again
    file = rig.file(table(3))
    rig.turns.arrive(command("job", "creditsafe.import_file", file=file, portfolio={"id": portfolio_id}))
    rig.client.records.delete(portfolio_id, [created[0].record_id])
    message = failure(rig.drive(), Code.VENDOR_FAILED)
    assert "3 records after the import, 4 were expected" in message
    assert rig.effects("records.import_file") == 1


# -- parts ------------------------------------------------------------------------------------------------

cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=30)


@given(
    rows=st.lists(st.tuples(cells, cells), min_size=1, max_size=30),
    limit=st.integers(30, 400),
    packing=st.integers(0, 400),
    bom=st.booleans(),
    ending=st.sampled_from(["\n", "\r\n"]),
    stops=st.sets(st.integers(0, 30)),
)
def test_parts_hold_every_record_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    limit: int,
    packing: int,
    bom: bool,
    ending: str,
    stops: set[int],
) -> None:
    folder = tmp_path_factory.getbasetemp()
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows([("name", "town"), *rows])
    (folder / "parts.csv").write_bytes(("\ufeff" * bom + text.getvalue()).encode())
    storage, uri = Storage([str(folder)], str(folder)), str(folder / "parts.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(creditsafe_parts, "PART_LIMIT", limit)
        patch.setattr(creditsafe_parts, "GZIP_FROM", packing)
        patch.setattr(creditsafe_parts, "READ_ROWS", 1)
        plan = planned(storage, uri, stops)
        found: list[tuple[str, ...]] = []
        for part in parts_of(plan):
            with packed(storage, uri, plan, part) as (content, format):
                content.seek(0)
                raw = gzip.decompress(content.read()) if format == "gzip" else content.read()
            header, *records = csv.reader(io.StringIO(raw.decode(), newline=""))
            assert header == ["name", "town"]
            assert len(records) == part.rows > 0
            assert len(raw) <= limit or part.rows == 1
            found += map(tuple, records)
    assert found == rows
    assert plan["done"] == len(rows)


def planned(storage: Storage, uri: str, stops: set[int]) -> dict[str, Any]:
    """What `read_through` finds when it is cut off after some of its checkpoints."""
    at: Any = None
    for count in [*sorted(stops), None]:
        pieces = read_through(storage, uri, at)
        for number, at in enumerate(pieces):  # noqa: B007 - the last one is what counts
            if number == count:
                break
        pieces.close()
    assert isinstance(at, dict)
    return at


def test_a_part_is_the_same_bytes_each_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creditsafe_parts, "GZIP_FROM", 0)
    storage, uri = Storage([str(rig.folder)], str(rig.folder)), rig.file(table(50))
    plan = planned(storage, uri, set())
    sent = set()
    for _ in range(2):
        with packed(storage, uri, plan, parts_of(plan)[0]) as (content, _format):
            content.seek(0)
            sent.add(content.read())
    assert len(sent) == 1


@pytest.mark.parametrize("name", RECORD_FIELDS)
def test_every_documented_field_is_a_header(name: str) -> None:
    creditsafe_parts.check_header([name], "f.csv")
    with pytest.raises(JobFailed):
        creditsafe_parts.check_header([name, name.swapcase()], "f.csv")


# -- run_matching -----------------------------------------------------------------------------------------


@pytest.fixture
def portfolio_id(rig: Rig) -> str:
    made = rig.client.portfolios.create("Suppliers").portfolio_id
    names = ["Tesco PLC", "TESCO plc", "Nobody & Sons"]
    rig.client.records.create(made, [NewRecord(name=name) for name in names])
    return made


def test_matching_ends_with_its_summary(rig: Rig, portfolio_id: str) -> None:
    job = rig.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    assert job.result is not None, job.error
    assert job.result["summary"] == {
        "total": 3,
        "matched": 2,
        "unmatched": 1,
        "totalRows": 3,
        "manualMatched": 0,
        "duplicates": 1,
    }
    execution = rig.client.matching.status(portfolio_id, job.result["execution_id"])
    assert execution.status == "COMPLETED"
    assert rig.effects("matching.start") == 1


def test_a_lost_start_is_never_repeated_without_a_persons_word(rig: Rig, portfolio_id: str) -> None:
    rig.fault("matching.start", Fault("lost_after"))
    job = rig.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.OUTCOME_UNKNOWN)
    assert rig.effects("matching.start") == 1
    rig.run("job.retry", id="retry", job_id="job", repeat_effect=True)
    assert rig.drive().status is Status.COMPLETED
    assert rig.effects("matching.start") == 2


def test_a_failed_run_is_started_anew_by_a_retry(rig: Rig) -> None:
    portfolio_id = rig.client.portfolios.create("Suppliers [fails once]").portfolio_id
    job = rig.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.VENDOR_FAILED)
    assert job.error is not None
    assert job.error["detail"] == "FAILED"
    rig.run("job.retry", id="retry", job_id="job")
    job = rig.drive()
    assert job.result is not None, job.error
    assert job.result["summary"]["total"] == 0


def test_a_run_that_is_under_way_is_waited_for(rig: Rig, portfolio_id: str) -> None:
    clock = rig.world.clock
    assert isinstance(clock, Clock)
    rig.world.job_seconds = 10
    rig.turns.arrive(command("job", "creditsafe.run_matching", portfolio_id=portfolio_id))
    for _ in range(3):
        rig.turns.take("job", rig.job().turn)
    assert rig.job().status is Status.RUNNING
    clock.now += 10
    assert rig.drive().status is Status.COMPLETED


def test_a_second_run_at_once_is_the_vendors_refusal(rig: Rig, portfolio_id: str) -> None:
    rig.world.job_seconds = 1_000
    rig.client.matching.start(portfolio_id)
    job = rig.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    failure(job, Code.VENDOR_REJECTED)
    assert job.error is not None
    assert (job.error["vendor_status"], "in progress" in str(job.error["detail"])) == (409, True)


def test_records_are_counted_when_there_is_no_summary(
    rig: Rig, portfolio_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creditsafe, "PAGE_SIZE", 2)
    monkeypatch.setattr("sandbox.creditsafe.store.Store.match", without_summary())
    job = rig.run("creditsafe.run_matching", portfolio_id=portfolio_id)
    assert job.result is not None, job.error
    assert job.result["summary"] == {"total": 3, "matched": 2, "unmatched": 1}


def without_summary() -> Any:
    """The stand-in's matching as of a vendor that does not report how it went."""
    from sandbox.creditsafe.store import Store  # noqa: PLC0415 - the original, before it is replaced

    original = Store.match

    def match(store: Store, portfolio: str, find: Any) -> dict[str, int]:
        original(store, portfolio, find)
        return {}

    return match


@pytest.mark.parametrize(
    ("reported", "summary"),
    [
        ({"totalRows": 5, "matched": 3, "unmatched": 2}, (5, 3, 2)),
        ({"total": 5, "matched": 3}, (5, 3, 2)),
        ({"matched": 3, "unmatched": 2}, (5, 3, 2)),
        ({"totalRows": 5, "unmatched": 2}, None),
        ({"totalRows": "5", "matched": 3}, None),
        ({}, None),
    ],
)
def test_summaries_are_completed_where_they_can_be(
    reported: dict[str, Any], summary: tuple[int, int, int] | None
) -> None:
    found = summary_of(reported)
    assert (None if found is None else (found.total, found.matched, found.unmatched)) == summary


def test_states_of_matching() -> None:
    states = Counter(
        matching(MatchingExecution(status=status)).state
        for status in ("PENDING", "COMPLETED", "partiallyCompleted", "FAILED", "matchingError", None)
    )
    assert states == {"running": 2, "done": 2, "failed": 2}
