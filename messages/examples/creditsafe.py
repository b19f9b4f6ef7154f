"""Examples of Creditsafe's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.creditsafe import (
    AddRecords,
    AddRecordsResult,
    Deduplicate,
    DeduplicateResult,
    DeletePortfolio,
    DeletePortfolioResult,
    DeleteRecords,
    DeleteRecordsResult,
    Enrich,
    EnrichResult,
    ExportRecords,
    ExportRecordsResult,
    ImportFile,
    ImportFileResult,
    MatchingSummary,
    Portfolio,
    Record,
    RunMatching,
    RunMatchingResult,
)
from messages.examples.shared import PORTFOLIO_ID, file_of

JOBS: list[tuple[Command, Result]] = [
    (
        ImportFile(
            file="file:///data/customers.csv",
            portfolio=Portfolio(name="Customers 2026-08", description="Active customers"),
        ),
        ImportFileResult(portfolio_id=PORTFOLIO_ID, records=48_211, parts=3),
    ),
    (
        AddRecords(
            portfolio_id=PORTFOLIO_ID,
            records=[
                Record(name="Example Trading Ltd", town="Leeds", countryCode="GB", reference="C-1001"),
                Record(name="Beispiel Handel GmbH", vatNumber="DE000000000", reference="C-1002"),
            ],
        ),
        AddRecordsResult(portfolio_id=PORTFOLIO_ID, records=2, record_ids=["R000000048212", "R000000048213"]),
    ),
    (
        RunMatching(portfolio_id=PORTFOLIO_ID),
        RunMatchingResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="7d0f4c2b-1e63-4b1d-8f5a-2a9c6e3d7b18",
            summary=MatchingSummary(total=48_211, matched=45_907, unmatched=2_304),
        ),
    ),
    (
        Deduplicate(portfolio_id=PORTFOLIO_ID, fields=["safeNumber"], remove=True),
        DeduplicateResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="c1f7a8d2-90b5-4f3b-a6de-5b1e8f2c7d04",
            duplicates=file_of("deduplicate", "duplicates.csv", "text/csv", 312, 18_733),
            removed=312,
            partial=False,
        ),
    ),
    (
        Enrich(portfolio_id=PORTFOLIO_ID, fields=["general.companyName", "contact.town"]),
        EnrichResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="3a9e5c70-2d48-4c1f-bb97-e04d6f8a1c52",
            enriched=file_of("enrich", "enriched.csv", "text/csv", 47_899, 4_981_530),
            partial=False,
        ),
    ),
    (
        ExportRecords(portfolio_id=PORTFOLIO_ID),
        ExportRecordsResult(
            portfolio_id=PORTFOLIO_ID,
            records=file_of("export_records", "records.csv", "text/csv", 47_899, 7_328_112),
        ),
    ),
    (
        DeleteRecords(portfolio_id=PORTFOLIO_ID, record_ids=["R000000048212", "R000000048213"]),
        DeleteRecordsResult(portfolio_id=PORTFOLIO_ID, deleted=2),
    ),
    (DeletePortfolio(portfolio_id=PORTFOLIO_ID), DeletePortfolioResult(portfolio_id=PORTFOLIO_ID)),
]
