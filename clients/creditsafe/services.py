"""The services that run over a portfolio: each is started, then asked for by its execution id.

None of the starts is idempotent and none takes an idempotency key: a start whose answer was lost cannot be
found again. An enrichment may be billed again.
"""

from __future__ import annotations

from collections.abc import Sequence

from clients.creditsafe.models import SAFE_NUMBER, DuplicateCriteria, EnrichmentRequest, MatchingRequest
from clients.creditsafe.paths import path
from clients.creditsafe.replies import FileExecution, MatchingExecution, Removal, Started
from clients.operation import Call
from clients.resource import Resource, operation


class Matching(Resource):
    """Links records to Creditsafe's companies."""

    group = "matching"

    @operation("POST /v1/datastudio/portfolios/{portfolioId}/match")
    def start(self, call: Call, portfolio_id: str, match_against: str = SAFE_NUMBER) -> Started:
        """Start matching. Raises `Conflict` while a run is under way. Path and body are assumed."""
        body = MatchingRequest(match_against=match_against)
        return call(path=path(portfolio_id), json=body.json_body()).model(Started)

    @operation("GET /v1/datastudio/portfolios/{portfolioId}/match/{executionId}")
    def status(self, call: Call, portfolio_id: str, execution_id: str) -> MatchingExecution:
        """Return the status of a matching run and, at its end, the summary. The path is assumed."""
        return call(path=path(portfolio_id, execution_id)).model(MatchingExecution)


class Duplicates(Resource):
    """Finds and removes records that are the same."""

    group = "duplicates"

    @operation("POST /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/identify")
    def identify(self, call: Call, portfolio_id: str, fields: Sequence[str]) -> Started:
        """Start looking for duplicates. Changes no record: harmless to repeat."""
        body = DuplicateCriteria(fields=[*fields])
        return call(path=path(portfolio_id), json=body.json_body()).model(Started)

    @operation("GET /{apiVersion}/datastudio/portfolios/{portfolioId}/duplicates/{executionId}")
    def status(self, call: Call, portfolio_id: str, execution_id: str) -> FileExecution:
        """Return the status of a run and, at its end, a link to the file of all identified duplicates."""
        return call(path=path(portfolio_id, execution_id)).model(FileExecution)

    @operation("POST /v1/datastudio/portfolios/{portfolioId}/duplicates/remove")
    def remove(self, call: Call, portfolio_id: str) -> Removal:
        """Remove the duplicates that the latest finished run identified. The path is assumed.

        Raises `Conflict` or `Rejected` without such a run. A repeat finds nothing more to remove.
        """
        answer = call(path=path(portfolio_id))
        return answer.model(Removal) if answer.json() else Removal()


class Enrichment(Resource):
    """Adds Creditsafe's data to matched records."""

    group = "enrichment"

    @operation("POST /v1/datastudio/portfolios/{portfolioId}/enrich")
    def start(self, call: Call, portfolio_id: str, fields: Sequence[str]) -> Started:
        """Start a `GLOBAL_DATA_ENRICHMENT` of the given fields. A repeat may be billed again. The path is assumed."""
        body = EnrichmentRequest(fields=[*fields])
        return call(path=path(portfolio_id), json=body.json_body()).model(Started)

    @operation("GET /v1/datastudio/portfolios/{portfolioId}/enrich/{executionId}")
    def status(self, call: Call, portfolio_id: str, execution_id: str) -> FileExecution:
        """Return the status of an enrichment and, at its end, a link to the resulting file."""
        return call(path=path(portfolio_id, execution_id)).model(FileExecution)
