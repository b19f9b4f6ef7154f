"""An example of the command that takes a portfolio through all vendors, with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.creditsafe import (
    DeduplicateResult,
    EnrichResult,
    ExportRecordsResult,
    ImportFileResult,
    MatchingSummary,
    RunMatchingResult,
)
from messages.data8 import StartJobResult
from messages.examples.shared import PORTFOLIO_ID, file_of
from messages.portfolio import (
    Cleansing,
    Deduplication,
    Enrichment,
    Matching,
    ProcessPortfolio,
    ProcessPortfolioResult,
    Resolution,
)
from messages.sayari import ResolveEntitiesResult
from messages.sayari_graph import FetchEntitiesResult

_NDJSON = "application/x-ndjson"

JOBS: list[tuple[Command, Result]] = [
    (
        ProcessPortfolio(
            file="file:///data/customers.csv",
            name="Customers 2026-08",
            cleanse=Cleansing(workflow="CompanyCleanse", columns={"cleansed_name": "name"}),
            match=Matching(),
            deduplicate=Deduplication(),
            enrich=Enrichment(fields=["general.companyName", "contact.town"]),
            resolve=Resolution(watchlist=True),
            columns={"Customer no.": "reference"},
        ),
        ProcessPortfolioResult(
            cleanse=StartJobResult(
                job_name="kyb_customers-2026-08.process_19eec21057c5",
                statistics={"CleansedRecords": 48_211},
                outputs={
                    "Cleansed": file_of("process", "cleanse.Cleansed.csv", "text/csv", 48_211, 9_102_377)
                },
                output_filenames={},
            ),
            import_=ImportFileResult(portfolio_id=PORTFOLIO_ID, records=48_211, parts=1),
            match=RunMatchingResult(
                portfolio_id=PORTFOLIO_ID,
                execution_id="7d0f4c2b-1e63-4b1d-8f5a-2a9c6e3d7b18",
                summary=MatchingSummary(total=48_211, matched=45_907, unmatched=2_304),
            ),
            export=ExportRecordsResult(
                portfolio_id=PORTFOLIO_ID,
                records=file_of("process", "export.records.csv", "text/csv", 48_211, 7_390_004),
            ),
            deduplicate=DeduplicateResult(
                portfolio_id=PORTFOLIO_ID,
                execution_id="c1f7a8d2-90b5-4f3b-a6de-5b1e8f2c7d04",
                duplicates=file_of("process", "deduplicate.duplicates.csv", "text/csv", 312, 18_733),
                removed=0,
                partial=False,
            ),
            enrich=EnrichResult(
                portfolio_id=PORTFOLIO_ID,
                execution_id="3a9e5c70-2d48-4c1f-bb97-e04d6f8a1c52",
                enriched=file_of("process", "enrich.enriched.csv", "text/csv", 48_211, 4_981_530),
                partial=False,
            ),
            resolve=ResolveEntitiesResult(
                project_id="GNJWVL",
                uploaded=48_211,
                resolved=file_of("process", "resolve.resolved.jsonl", _NDJSON, 31_870, 14_212_906),
                unresolved=file_of("process", "resolve.unresolved.jsonl", _NDJSON, 16_341, 3_170_154),
            ),
            watchlist=FetchEntitiesResult(
                entities=file_of("process", "watchlist.entities.jsonl", _NDJSON, 31_502, 88_205_600),
                missing=file_of("process", "watchlist.missing.csv", "text/csv", 0, 11),
            ),
            ownership=None,
            report=file_of("process", "report.csv", "text/csv", 48_211, 15_873_114),
            unplaced=0,
        ),
    ),
]
