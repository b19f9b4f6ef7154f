"""`creditsafe.add_records`, `creditsafe.delete_records` and `creditsafe.delete_portfolio`, turn by turn."""

from __future__ import annotations

from typing import Any

import pytest

from clients.creditsafe import RECORD_FIELDS, NewRecord
from messages.creditsafe_record import RECORD_FIELDS as FIELDS_OF_MESSAGES
from messages.creditsafe_record import Record
from messages.errors import Code
from messages.events import Status
from sandbox.core import Fault
from tests.support.sandbox_harness import SandboxHarness, completed, failure
from workers.jobs.creditsafe import add_records, delete_records


@pytest.fixture
def portfolio_id(harness: SandboxHarness) -> str:
    made = harness.creditsafe.portfolios.create("Suppliers").portfolio_id
    harness.creditsafe.records.create(made, [NewRecord(name="Old", reference="old")])
    harness.state.effects.clear()
    return made


@pytest.fixture
def batches_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(add_records, "RECORDS_LIMIT", 3)
    monkeypatch.setattr(delete_records, "RECORDS_LIMIT", 3)
    monkeypatch.setattr(add_records, "PAGE_SIZE", 2)


def companies(count: int, reference: str | None = "C-{}") -> list[dict[str, str]]:
    named = [{"name": f"Company {n % 4}", "countryCode": "GB"} for n in range(count)]
    return [
        record | ({"reference": reference.format(n)} if reference else {}) for n, record in enumerate(named)
    ]


def listed(harness: SandboxHarness, portfolio_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Ids and uploaded fields of a portfolio's records."""
    found = harness.creditsafe.records.all(portfolio_id)
    return [(record.record_id, record.model_extra or {}) for record in found]


def check_added(
    harness: SandboxHarness, portfolio_id: str, job_id: str, records: list[dict[str, str]]
) -> None:
    """Each record is there once, and the ids of the result are theirs, in the order of the command."""
    result = completed(harness.drive(job_id))
    assert result["records"] == len(records)
    known = dict(listed(harness, portfolio_id))
    assert [known[record_id] for record_id in result["record_ids"]] == records
    assert len(set(result["record_ids"])) == len(records)
    mine = [fields for fields in known.values() if fields in records]
    assert len(mine) == len(records)


def test_a_message_knows_the_fields_that_the_client_knows() -> None:
    assert FIELDS_OF_MESSAGES == RECORD_FIELDS
    assert tuple(field.alias or name for name, field in Record.model_fields.items()) == RECORD_FIELDS


def test_records_are_added_300_at_a_time(harness: SandboxHarness, portfolio_id: str) -> None:
    records = companies(601)
    harness.arrive("creditsafe.add_records", portfolio_id=portfolio_id, records=records)
    check_added(harness, portfolio_id, "job", records)
    assert harness.effects("creditsafe.records.create") == 3


@pytest.mark.usefixtures("batches_of_three")
@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
@pytest.mark.parametrize("reference", ["C-{}", None])
def test_a_batch_whose_answer_is_lost_is_there_once(
    harness: SandboxHarness, portfolio_id: str, kind: str, reference: str | None
) -> None:
    records = companies(8, reference)
    harness.fault("creditsafe.records.create", Fault("slow"))
    harness.fault("creditsafe.records.create", Fault(kind))
    harness.arrive("creditsafe.add_records", portfolio_id=portfolio_id, records=records)
    job = harness.drive()
    assert job.retries == 1
    assert completed(job)["records"] == 8
    assert harness.effects("creditsafe.records.create") == 3
    ids, fields = zip(*listed(harness, portfolio_id)[1:], strict=True)
    assert list(fields) == records
    assert sorted(completed(job)["record_ids"]) == list(ids)


@pytest.mark.usefixtures("batches_of_three")
@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
def test_records_that_others_add_meanwhile_are_told_apart(
    harness: SandboxHarness, portfolio_id: str, kind: str
) -> None:
    harness.fault("creditsafe.records.create", Fault(kind))
    records = companies(5)
    harness.arrive("creditsafe.add_records", portfolio_id=portfolio_id, records=records)
    harness.creditsafe.records.create(portfolio_id, [NewRecord(name="Another", reference="theirs")] * 3)
    check_added(harness, portfolio_id, "job", records)


@pytest.mark.usefixtures("batches_of_three")
@pytest.mark.parametrize(
    ("records", "theirs"),
    [
        (companies(2), NewRecord(name="Who added this?")),
        (companies(2, None), NewRecord(name="Another", reference="theirs")),
        (companies(2), NewRecord(name="One of ours?", reference="C-1")),
    ],
)
def test_a_batch_that_cannot_be_told_apart_is_for_a_person(
    harness: SandboxHarness, portfolio_id: str, records: list[dict[str, str]], theirs: NewRecord
) -> None:
    harness.fault("creditsafe.records.create", Fault("lost_before"))
    harness.arrive("creditsafe.add_records", portfolio_id=portfolio_id, records=records)
    harness.creditsafe.records.create(portfolio_id, [theirs])
    assert "grown by 1 records" in failure(harness.drive(), Code.OUTCOME_UNKNOWN)
    harness.run("job.retry", id="retry", job_id="job", repeat_effect=True)
    check_added(harness, portfolio_id, "job", records)


def test_ids_that_the_answer_leaves_out_are_looked_up(
    harness: SandboxHarness, portfolio_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.creditsafe.records.CREATED_ARE_SHOWN", False)
    records = companies(4)
    harness.arrive("creditsafe.add_records", portfolio_id=portfolio_id, records=records)
    check_added(harness, portfolio_id, "job", records)


def test_a_refused_record_is_told_with_the_vendors_words(harness: SandboxHarness) -> None:
    job = harness.run("creditsafe.add_records", portfolio_id="gone", records=companies(1))
    assert "not found" in failure(job, Code.VENDOR_REJECTED)


# -- delete_records ---------------------------------------------------------------------------------------


def filled(harness: SandboxHarness, portfolio_id: str, count: int) -> list[str]:
    made = harness.creditsafe.records.create(portfolio_id, [NewRecord(name=str(n)) for n in range(count)])
    return [record.record_id for record in made.records]


@pytest.mark.usefixtures("batches_of_three")
def test_records_are_deleted_in_batches_and_counted_once(harness: SandboxHarness, portfolio_id: str) -> None:
    ids = filled(harness, portfolio_id, 8)
    wanted = [*ids[:7], ids[0], "R77", "nonsense"]
    result = completed(harness.run("creditsafe.delete_records", portfolio_id=portfolio_id, record_ids=wanted))
    assert result == {"portfolio_id": portfolio_id, "deleted": 7}
    assert [id for id, _ in listed(harness, portfolio_id)][1:] == ids[7:]
    assert harness.state.calls["creditsafe.records.delete"] == 3


@pytest.mark.usefixtures("batches_of_three")
@pytest.mark.parametrize("kind", ["lost_before", "lost_after"])
def test_a_lost_deletion_counts_what_was_deleted(
    harness: SandboxHarness, portfolio_id: str, kind: str
) -> None:
    ids = filled(harness, portfolio_id, 8)
    harness.fault("creditsafe.records.delete", Fault("slow"))
    harness.fault("creditsafe.records.delete", Fault(kind))
    job = harness.run("creditsafe.delete_records", portfolio_id=portfolio_id, record_ids=[*ids[:7], "R77"])
    assert completed(job)["deleted"] == 7
    assert len(listed(harness, portfolio_id)) == 2


def test_a_lost_deletion_never_counts_more_than_was_asked_for(
    harness: SandboxHarness, portfolio_id: str
) -> None:
    ids = filled(harness, portfolio_id, 8)
    harness.fault("creditsafe.records.delete", Fault("lost_after"))
    harness.arrive("creditsafe.delete_records", portfolio_id=portfolio_id, record_ids=ids[:2])
    harness.creditsafe.records.delete(portfolio_id, ids[2:])
    assert completed(harness.drive())["deleted"] == 2


# -- delete_portfolio -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["slow", "lost_before", "lost_after"])
def test_a_portfolio_is_gone_afterwards(harness: SandboxHarness, portfolio_id: str, kind: str) -> None:
    harness.fault("creditsafe.portfolios.delete", Fault(kind))
    job = harness.run("creditsafe.delete_portfolio", portfolio_id=portfolio_id)
    assert completed(job) == {"portfolio_id": portfolio_id}
    assert not list(harness.creditsafe.portfolios.all())
    assert harness.effects("creditsafe.portfolios.delete") == 1
    again = harness.run("creditsafe.delete_portfolio", id="again", portfolio_id=portfolio_id)
    assert again.status is Status.COMPLETED
