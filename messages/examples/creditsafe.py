"""Examples of Creditsafe's commands, each with the result of a job that completed."""

from __future__ import annotations

from messages.base import Command, Result
from messages.creditsafe import (
    ImportFile,
    ImportFileResult,
    MatchingSummary,
    Portfolio,
    RunMatching,
    RunMatchingResult,
)
from messages.examples.shared import PORTFOLIO_ID

JOBS: list[tuple[Command, Result]] = [
    (
        ImportFile(
            file="file:///data/customers.csv",
            portfolio=Portfolio(name="Customers 2026-08", description="Active customers"),
        ),
        ImportFileResult(portfolio_id=PORTFOLIO_ID, records=48_211, parts=3),
    ),
    (
        RunMatching(portfolio_id=PORTFOLIO_ID),
        RunMatchingResult(
            portfolio_id=PORTFOLIO_ID,
            execution_id="7d0f4c2b-1e63-4b1d-8f5a-2a9c6e3d7b18",
            summary=MatchingSummary(total=48_211, matched=45_907, unmatched=2_304),
        ),
    ),
]
