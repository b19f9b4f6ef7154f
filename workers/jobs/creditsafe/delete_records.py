"""Delete records of a portfolio by their ids: `creditsafe.delete_records`."""

from __future__ import annotations

from collections.abc import Sequence

from clients.creditsafe import RECORDS_LIMIT, Creditsafe
from messages.creditsafe import DeleteRecords, DeleteRecordsResult
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.jobs.creditsafe.batches import split_into_batches
from workers.jobs.creditsafe.counts import count_removed, record_count


def delete_records(command: DeleteRecords, run: Run, services: Services) -> DeleteRecordsResult:
    """Delete records by their ids, in batches of at most 300.

    It may be repeated: ids that are not there are ignored. A repeated batch counts only what the repeat has
    deleted, so that the portfolio's record count has to tell.
    """
    creditsafe, portfolio_id = services.creditsafe, command.portfolio_id
    record_ids = list(dict.fromkeys(command.record_ids))
    before = run.once("count", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)["records"]
    told: list[int | None] = []
    for number, ids in enumerate(split_into_batches(record_ids, RECORDS_LIMIT), start=1):
        deletion = Deletion(creditsafe, portfolio_id, ids)
        told.append(run.once(f"delete batch {number}", deletion.send, recover=deletion.repeat)["deleted"])
    known = [count for count in told if count is not None]
    deleted: int | None = sum(known)
    if len(known) < len(told):
        deleted = count_removed(run, creditsafe, portfolio_id, before, least=sum(known), most=len(record_ids))
    return DeleteRecordsResult(portfolio_id=portfolio_id, deleted=deleted)


class Deletion:
    """Records on their way out of a portfolio."""

    def __init__(self, creditsafe: Creditsafe, portfolio_id: str, record_ids: Sequence[str]) -> None:
        self._creditsafe = creditsafe
        self._portfolio_id = portfolio_id
        self._record_ids = record_ids

    def send(self) -> dict[str, int | None]:
        """Delete them; how many that were, if the answer says so."""
        return {"deleted": self._creditsafe.records.delete(self._portfolio_id, self._record_ids).deleted}

    def repeat(self) -> dict[str, int | None]:
        """Delete those that still exist; how many existed before is then unknown."""
        self.send()
        return {"deleted": None}
