"""`creditsafe.enrich`."""

from __future__ import annotations

from messages.creditsafe import Enrich, EnrichResult
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.engine.registry import Services
from workers.jobs.creditsafe.counts import record_count
from workers.jobs.creditsafe.result_files import poll_execution, store


def enrich(command: Enrich, run: Run, services: Services) -> EnrichResult:
    """Enrich the matched records of a portfolio with a `GLOBAL_DATA_ENRICHMENT`, and store Creditsafe's file.

    It is billed, so it is started once: a start whose answer is lost cannot be found again and ends the
    job as `outcome_unknown`. A run that failed may have been billed as well (assumed): a retry looks at the
    same run again, it never starts another one.
    """
    creditsafe, portfolio_id = services.creditsafe, command.portfolio_id
    count = run.once("count", lambda: record_count(creditsafe, portfolio_id), recover=repeatable)["records"]
    execution_id = run.once(
        "start", lambda: creditsafe.enrichment.start(portfolio_id, command.fields).execution_id
    )
    ended = run.poll(
        "enrich", lambda: poll_execution(creditsafe.enrichment.status(portfolio_id, execution_id)), size=count
    )
    enriched = store(
        run, services, "enriched", lambda: creditsafe.enrichment.status(portfolio_id, execution_id)
    )
    return EnrichResult(
        portfolio_id=portfolio_id, execution_id=execution_id, enriched=enriched, partial=ended["partial"]
    )
