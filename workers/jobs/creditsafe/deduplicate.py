"""`creditsafe.deduplicate`."""

from __future__ import annotations

from typing import Any

from clients.creditsafe import Creditsafe
from messages.creditsafe import Deduplicate, DeduplicateResult
from workers.engine.context import Run
from workers.engine.recovery import baseline, repeatable
from workers.engine.registry import Services
from workers.jobs.creditsafe.counts import count_removed, record_count
from workers.jobs.creditsafe.result_files import poll_execution, store


def deduplicate(command: Deduplicate, run: Run, services: Services) -> DeduplicateResult:
    """Identify a portfolio's duplicates, store Creditsafe's file of them, and remove them if the command asks for it.

    Identification changes no record, so it is repeated when its answer is lost. A removal concerns what the latest run
    identified: no other client should identify duplicates in the portfolio at the same time.
    """
    duplicates, portfolio_id = services.creditsafe.duplicates, command.portfolio_id
    count = run.once("count", lambda: record_count(services.creditsafe, portfolio_id), recover=repeatable)[
        "records"
    ]
    execution_id = run.once(
        "identify",
        lambda: duplicates.identify(portfolio_id, command.fields).execution_id,
        recover=baseline if command.remove else repeatable,  # once removed, they are not identified again
    )
    ended = run.poll(
        "duplicates",
        lambda: poll_execution(duplicates.status(portfolio_id, execution_id)),
        size=count,
        redo=("identify",),
    )
    file = store(run, services, "duplicates", lambda: duplicates.status(portfolio_id, execution_id))
    removed = remove(run, services.creditsafe, portfolio_id) if command.remove else 0
    return DeduplicateResult(
        portfolio_id=portfolio_id,
        execution_id=execution_id,
        duplicates=file,
        removed=removed,
        partial=ended["partial"],
    )


def remove(run: Run, creditsafe: Creditsafe, portfolio_id: str) -> int | None:
    """Remove what was identified; how many records that were.

    It may be repeated: what is removed already is not found again. Creditsafe's own number is then that of
    the last attempt alone, so that the portfolio's record count has to tell.
    """
    before = run.once("count before", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)

    def attempt() -> dict[str, Any]:
        answer = creditsafe.duplicates.remove(portfolio_id)
        return {"execution_id": answer.execution_id, "removed": answer.removed, "first": True}

    answer = run.once("remove", attempt, recover=lambda: attempt() | {"first": False})
    removed, execution_id = answer["removed"], answer["execution_id"]
    if execution_id is not None:
        removed = run.poll(
            "finish removal",
            lambda: poll_execution(creditsafe.duplicates.status(portfolio_id, execution_id)),
            size=before["records"],
            redo=("remove",),
        )["removed"]
    if removed is not None and answer["first"] and run.generation("remove") == 1:
        return int(removed)
    return count_removed(run, creditsafe, portfolio_id, before["records"])
