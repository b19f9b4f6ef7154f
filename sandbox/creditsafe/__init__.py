"""Creditsafe's simulator: the 17 documented operations, and the storage host of its result files.

Where the document is silent, what is assumed stands beside the code that assumes it. What a portfolio's
name holds steers its services: `[fails]` lets every run fail, `[fails once]` the first of each kind,
`[partial]` lets runs with a file end partially complete, `[async]` lets imports and removals of duplicates
run like the other services, and `[whole files]` lets result files be fetched as a whole only.
"""

from __future__ import annotations

from sandbox.creditsafe.access import Access
from sandbox.creditsafe.portfolios import Portfolios
from sandbox.creditsafe.records import Records
from sandbox.creditsafe.results import Results
from sandbox.creditsafe.services import Services

__all__ = ["Creditsafe"]


class Creditsafe(Access, Portfolios, Records, Services, Results):
    """Creditsafe."""
