"""Endpoints of the services: started, then asked for until they have run their time."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox import register
from sandbox.core import serves
from sandbox.creditsafe.base import PORTFOLIO, Execution, Part, Portfolio, Refused, body, text, texts
from sandbox.creditsafe.files import RECORD_FIELDS
from sandbox.creditsafe.results import csv_lines

ENRICHMENT = "GLOBAL_DATA_ENRICHMENT"
#: What can be enriched, and where it is found in the register; the vendor's own list is not published.
ENRICHMENT_FIELDS = {
    "general.safeNumber": "safe_number",
    "general.companyName": "name",
    "general.country": "country",
    "contact.town": "town",
}


class Services(Part):
    """Matching, deduplication, enrichment."""

    @serves(f"POST {PORTFOLIO}/match")
    async def matching__start(self, request: Request) -> Response:
        """Start matching; 409 while a run of this portfolio is under way (assumed)."""
        portfolio = self.portfolio(request)
        text(await body(request, "matchAgainst"), "matchAgainst", least=1, most=64)
        if any(run.summary is None for run in self._runs(portfolio, "match")):
            raise Refused(409, "matching is in progress")
        self.state.effect("creditsafe.matching.start", portfolio.id)
        return self._started(self.run(portfolio, "match", self._match))

    @serves(f"GET {PORTFOLIO}/match/{{executionId}}")
    async def matching__status(self, request: Request) -> Response:
        """Status and, at the end, the summary."""
        run = self._asked_for(request, "match")
        shown = self._shown(run)
        return JSONResponse(shown | {"summary": run.summary} if shown["status"] == "COMPLETED" else shown)

    @serves(f"POST {PORTFOLIO}/duplicates/identify")
    async def duplicates__identify(self, request: Request) -> Response:
        """Start looking for records that are equal in all the fields."""
        portfolio = self.portfolio(request)
        fields = texts(await body(request, "fields"), "fields")
        _known(fields, RECORD_FIELDS)
        self.state.effect("creditsafe.duplicates.identify", f"{portfolio.id}/{','.join(fields)}")
        return self._started(self.run(portfolio, "duplicates", lambda run: self._identify(run, fields)))

    @serves(f"GET {PORTFOLIO}/duplicates/{{executionId}}")
    async def duplicates__status(self, request: Request) -> Response:
        """Status and, at the end, a link to the duplicates, or how many a removal removed."""
        run = self._asked_for(request, "duplicates", "remove")
        return JSONResponse(self._shown(run) | ((run.summary or {}) if run.service == "remove" else {}))

    @serves(f"POST {PORTFOLIO}/duplicates/remove")
    async def duplicates__remove(self, request: Request) -> Response:
        """Remove what the latest finished run identified, at once unless the portfolio is named `[async]`."""
        portfolio = self.portfolio(request)
        await body(request)
        runs = self._runs(portfolio, "duplicates")
        if not any(run.summary is not None and not run.timed.fails for run in runs):
            raise Refused(409, "duplicates have not been identified")
        run = self.run(portfolio, "remove", self._remove)
        if "[async]" in portfolio.name:
            return self._started(run)
        return JSONResponse(self._remove(run))

    @serves(f"POST {PORTFOLIO}/enrich")
    async def enrichment__start(self, request: Request) -> Response:
        """Start to enrich; the type may be in the body, as `type` or `enrichmentType`, or in the query."""
        portfolio = self.portfolio(request)
        given = await body(request, "type", "enrichmentType", "fields")
        kind = given.get("type") or given.get("enrichmentType") or request.query_params.get("type")
        if kind != ENRICHMENT:
            raise Refused(400, "invalid request", f"the type must be {ENRICHMENT}")
        fields = texts(given, "fields")
        _known(fields, ENRICHMENT_FIELDS)
        self.state.effect("creditsafe.enrichment.start", f"{portfolio.id}/{','.join(fields)}")
        return self._started(self.run(portfolio, "enrich", lambda run: self._enrich(run, fields)))

    @serves(f"GET {PORTFOLIO}/enrich/{{executionId}}")
    async def enrichment__status(self, request: Request) -> Response:
        """Status and, at the end, a link to the enriched records."""
        return JSONResponse(self._shown(self._asked_for(request, "enrich")))

    # -- runs -------------------------------------------------------------------------------------------

    def _started(self, run: Execution) -> Response:
        self.data.executions[run.id] = run
        return JSONResponse({"executionId": run.id, "status": "PENDING"}, 202)

    def _asked_for(self, request: Request, *services: str) -> Execution:
        portfolio = self.portfolio(request)
        run = self.data.executions.get(request.path_params["executionId"])
        if run is None or run.portfolio is not portfolio or run.service not in services:
            raise Refused(404, "execution not found")
        return run

    def _runs(self, portfolio: Portfolio, service: str) -> list[Execution]:
        return [
            run
            for run in self.data.executions.values()
            if run.portfolio is portfolio and run.service == service
        ]

    def _shown(self, run: Execution) -> dict[str, Any]:
        now = self.state.clock()
        if run.summary is None:
            status = "PENDING" if run.timed.queued(now) else "IN_PROGRESS"
        else:
            status = "FAILED" if run.timed.fails else "COMPLETED"
        shown = {"executionId": run.id, "status": status}
        if status == "COMPLETED" and run.service in {"duplicates", "enrich"}:
            partial = "[partial]" in run.portfolio.name
            shown |= {"status": "PARTIALLY_COMPLETED"} if partial else {}
            shown["downloadUrl"] = self.link(run.id)
        return shown

    # -- their work -------------------------------------------------------------------------------------

    def _match(self, run: Execution) -> dict[str, Any]:
        def find(fields: dict[str, Any], _: str | None) -> str | None:
            if fields.get("safeNumber") in register.BY_SAFE_NUMBER:
                return str(fields["safeNumber"])
            company = register.find(
                fields.get("name", ""), fields.get("countryCode") or fields.get("country", "")
            )
            return company.safe_number if company else None

        return {**self.data.store.match(run.portfolio.id, find)}

    def _identify(self, run: Execution, fields: list[str]) -> dict[str, Any]:
        def key(record: dict[str, Any], safe_number: str | None) -> str | None:
            if safe_number is not None:
                record["safeNumber"] = safe_number
            values = [" ".join(record.get(name, "").casefold().split()) for name in fields]
            return json.dumps(values) if all(values) else None  # what is not known is not equal

        duplicates = self.data.store.identify(run.portfolio.id, key)
        header = ["recordId", "duplicateOf", "reference", *fields]
        rows = (
            [id, first, record.get("reference", ""), *(record.get(name, "") for name in fields)]
            for id, first, record in duplicates
        )
        self.data.store.write(run.id, csv_lines(header, rows))
        return {"identified": True}

    def _remove(self, run: Execution) -> dict[str, Any]:
        removed = self.data.store.remove_duplicates(run.portfolio.id)
        if removed:
            self.state.effect("creditsafe.duplicates.remove", run.portfolio.id)
        return {"removed": removed}

    def _enrich(self, run: Execution, fields: list[str]) -> dict[str, Any]:
        def enriched(_: dict[str, Any], safe_number: str | None) -> str | None:
            company = register.BY_SAFE_NUMBER.get(safe_number or "")
            if company is None:
                return None
            return json.dumps({name: getattr(company, ENRICHMENT_FIELDS[name]) for name in fields})

        header = ["recordId", "reference", "name", *fields]
        rows = (
            [
                id,
                record.get("reference", ""),
                record.get("name", ""),
                *(given.get(name, "") for name in fields),
            ]
            for id, record, given in self.data.store.enrich(run.portfolio.id, enriched)
        )
        self.data.store.write(run.id, csv_lines(header, rows))
        return {"enriched": True}


def _known(fields: list[str], vocabulary: Any) -> None:
    if unknown := [name for name in fields if name not in vocabulary]:
        raise Refused(400, "invalid request", f"unknown field: {', '.join(unknown)}")
