"""Add the records of a message to a portfolio: `creditsafe.add_records`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clients.creditsafe import RECORDS_LIMIT, Creditsafe, NewRecord
from clients.creditsafe.paging import PAGE_SIZE, following
from messages.base import dump
from messages.creditsafe import AddRecords, AddRecordsResult
from messages.errors import Code
from workers.engine.context import Run
from workers.engine.recovery import baseline, repeatable
from workers.engine.registry import Services
from workers.errors import JobFailed, Undecided
from workers.jobs.creditsafe.batches import split_into_batches
from workers.jobs.creditsafe.counts import record_count

#: Records that others added meanwhile, which are looked through for a batch before it is given up.
SEARCH_LIMIT = 3_000


def add_records(command: AddRecords, run: Run, services: Services) -> AddRecordsResult:
    """Add records to a portfolio, in batches of at most 300."""
    creditsafe, portfolio_id = services.creditsafe, command.portfolio_id
    before = run.once("count", lambda: record_count(creditsafe, portfolio_id), recover=baseline)["records"]
    record_ids: list[str] = []
    for number, records in enumerate(split_into_batches(command.records, RECORDS_LIMIT), start=1):
        batch = Batch(creditsafe, portfolio_id, [dump(record) for record in records], before)
        added = run.once(f"add batch {number}", batch.send, recover=batch.find)["record_ids"]
        if added is None:
            added = run.once(f"name batch {number}", batch.name, recover=repeatable)["record_ids"]
        record_ids += added
        before = None if before is None else before + len(records)
    return AddRecordsResult(portfolio_id=portfolio_id, records=len(record_ids), record_ids=record_ids)


class Batch:
    """Records on their way into a portfolio that held `before` records; None if that is not known.

    A create request has no idempotency key. When its answer is lost, the number of records in the portfolio, and the new
    ones themselves, show whether it took effect. Assumed: a request adds all of its records or none, a listing shows
    records in the order in which they came with their `reference` unchanged, and no other client deletes records in the
    meantime.
    """

    def __init__(
        self, creditsafe: Creditsafe, portfolio_id: str, records: list[dict[str, Any]], before: int | None
    ) -> None:
        self._creditsafe = creditsafe
        self._portfolio_id = portfolio_id
        self._records = records
        self._before = before

    def send(self) -> dict[str, list[str] | None]:
        """Add the records; their ids, in the same order, None if the answer does not name them all."""
        new = [NewRecord.model_validate(record) for record in self._records]
        made = self._creditsafe.records.create(self._portfolio_id, new).records
        ids = [record.record_id for record in made]
        return {"record_ids": ids if len(ids) == len(new) else None}

    def find(self) -> dict[str, list[str] | None] | None:
        """The ids of the records if they were added, None if they were not."""
        now = record_count(self._creditsafe, self._portfolio_id)["records"]
        if now is None or self._before is None:
            raise Undecided("Creditsafe does not say how many records the portfolio has")
        if now == self._before:
            return None
        found, others = self._search(self._before)
        if len(found) == len(self._records):
            return {"record_ids": [found[place] for place in range(len(found))]}
        if not found and others == now - self._before and all("reference" in r for r in self._records):
            return None  # all that is new says by its reference that it is somebody else's
        raise Undecided(
            f"the portfolio has grown by {now - self._before} records,"
            f" {len(found)} of the batch's {len(self._records)} are among them"
        )

    def name(self) -> dict[str, list[str]]:
        """The ids of the records, which were added.

        Raises:
            JobFailed: `vendor_failed` if they are not found.
        """
        listed_ids = self._search(self._before)[0] if self._before is not None else {}
        if len(listed_ids) < len(self._records):
            raise JobFailed(
                Code.VENDOR_FAILED,
                "the records were added, but Creditsafe does not tell their ids; look at the portfolio",
            )
        return {"record_ids": [listed_ids[place] for place in range(len(listed_ids))]}

    def _search(self, start: int) -> tuple[dict[int, str], int]:
        """The ids of our records by their place in the batch; how many others with a reference are there."""
        missing = dict(enumerate(self._records))
        found: dict[int, str] = {}
        others = 0
        for listed in self._listed(start):
            place = next((place for place, record in missing.items() if same(record, listed)), None)
            if place is None:
                others += bool(listed.get("reference"))
                continue
            found[place] = listed["recordId"]
            del missing[place]
            if not missing:
                break
        return found, others

    def _listed(self, start: int) -> Iterator[dict[str, Any]]:
        """The portfolio's records from the position `start` on, not more than can be looked through."""
        page: int | None = start // PAGE_SIZE
        left = start % PAGE_SIZE + len(self._records) + SEARCH_LIMIT
        skip = start % PAGE_SIZE
        while page is not None and left > 0:
            answer = self._creditsafe.records.list(self._portfolio_id, page=page, page_size=PAGE_SIZE)
            for record in answer.data[skip:left]:
                yield record.model_dump(by_alias=True)
            left -= len(answer.data)
            page, skip = following(answer, page, page * PAGE_SIZE + len(answer.data)), 0


def same(record: dict[str, Any], listed: dict[str, Any]) -> bool:
    """Return whether a record is the listed one: by its reference if it has one, otherwise by every field."""
    if "reference" in record:
        return bool(record["reference"] == listed.get("reference"))
    return all(listed.get(name) == value for name, value in record.items())
