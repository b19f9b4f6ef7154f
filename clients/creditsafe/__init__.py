"""Creditsafe DataStudio: portfolios of companies, and the services that run over them.

The document that it follows spells out nine of the seventeen paths and none of the bodies. What is
assumed about the rest stands beside the operation or model concerned; answers are read tolerantly and
requests are written exactly.
"""

from clients.creditsafe.client import Creditsafe
from clients.creditsafe.models import RECORD_FIELDS, RECORDS_LIMIT, SAFE_NUMBER, NewRecord
from clients.creditsafe.records import IMPORT_LIMIT, Format
from clients.creditsafe.replies import (
    AccessToken,
    CreatedRecords,
    DeletedRecords,
    Execution,
    FileExecution,
    Import,
    MatchingExecution,
    Page,
    Portfolio,
    Record,
    Removal,
    Started,
)
from clients.creditsafe.status import State

__all__ = [
    "IMPORT_LIMIT",
    "RECORDS_LIMIT",
    "RECORD_FIELDS",
    "SAFE_NUMBER",
    "AccessToken",
    "CreatedRecords",
    "Creditsafe",
    "DeletedRecords",
    "Execution",
    "FileExecution",
    "Format",
    "Import",
    "MatchingExecution",
    "NewRecord",
    "Page",
    "Portfolio",
    "Record",
    "Removal",
    "Started",
    "State",
]
