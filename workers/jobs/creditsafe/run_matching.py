"""Match a portfolio's records with Creditsafe's companies: `creditsafe.run_matching`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypedDict

from clients.creditsafe import Creditsafe, MatchingExecution, State
from clients.creditsafe.paging import PAGE_SIZE, following
from messages.creditsafe import MatchingSummary, RunMatching, RunMatchingResult
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.jobs.creditsafe.counts import record_count
from workers.jobs.creditsafe.result_files import reason
from workers.polling.next_poll import PollResult


class CountCheckpoint(TypedDict):
    """Checkpoint of counting: the next page, records, and the matched ones among them."""

    page: int | None
    done: int
    matched: int


def run_matching(command: RunMatching, run: Run, services: Services) -> RunMatchingResult:
    """Match a portfolio's records with Creditsafe's companies.

    A start has no idempotency key, and a portfolio does not list its runs. When the answer is lost, Creditsafe cannot say
    whether a run began, and the job fails as `outcome_unknown` instead of starting a second one.
    """
    creditsafe, portfolio_id = services.creditsafe, command.portfolio_id
    count = run.once("count", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)["records"]
    execution_id = run.once(
        "start", lambda: creditsafe.matching.start(portfolio_id, command.match_against).execution_id
    )
    reported = run.poll(
        "match",
        lambda: matching(creditsafe.matching.status(portfolio_id, execution_id)),
        size=count,
        redo=("start",),
    )
    summary = summary_of(reported)
    if summary is None:
        tally = run.transfer(
            "tally", lambda at: count_matched(creditsafe, portfolio_id, at), kind="tally", total=count
        )
        total, matched = tally["done"], tally["matched"]
        counts = {"total": total, "matched": matched, "unmatched": total - matched}
        summary = MatchingSummary.model_validate(reported | counts)
    return RunMatchingResult(portfolio_id=portfolio_id, execution_id=execution_id, summary=summary)


def matching(execution: MatchingExecution) -> PollResult:
    """One look at a run. One that is partially complete is done: its summary tells what was left out."""
    match execution.state:
        case State.RUNNING:
            return PollResult("running")
        case State.FAILED:
            return PollResult("failed", detail=reason(execution))
        case _:
            return PollResult("done", answer=execution.summary or {})


def summary_of(reported: dict[str, Any]) -> MatchingSummary | None:
    """The vendor's summary, with `total` and `unmatched` beside it; None if it cannot be had from that.

    The names are those of Creditsafe's batch upload: `totalRows`, `matched`, `unmatched` and others.
    """
    total, matched, unmatched = (
        next((reported[name] for name in names if isinstance(reported.get(name), int)), None)
        for names in (("total", "totalRows", "totalCount"), ("matched",), ("unmatched",))
    )
    if total is None and matched is not None and unmatched is not None:
        total = matched + unmatched
    if unmatched is None and total is not None and matched is not None:
        unmatched = total - matched
    if total is None or matched is None or unmatched is None:
        return None
    return MatchingSummary.model_validate(
        reported | {"total": total, "matched": matched, "unmatched": unmatched}
    )


def count_matched(
    creditsafe: Creditsafe, portfolio_id: str, at: CountCheckpoint | None
) -> Generator[CountCheckpoint]:
    """Count the records and the `matched` ones among them, those with a Safe Number (assumed), page by page."""
    page, done, matched = (at["page"], at["done"], at["matched"]) if at else (0, 0, 0)
    while page is not None:
        answer = creditsafe.records.list(portfolio_id, page=page, page_size=PAGE_SIZE)
        done += len(answer.data)
        matched += sum(record.safe_number is not None for record in answer.data)
        page = following(answer, page, done)
        yield {"page": page, "done": done, "matched": matched}
