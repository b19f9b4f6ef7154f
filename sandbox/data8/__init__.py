"""Data8's simulator: the 35 documented operations and the token endpoint.

Where the document is silent, what is assumed stands beside the code that assumes it.
"""

from __future__ import annotations

from sandbox.data8.access import Access
from sandbox.data8.api_keys import ApiKeys
from sandbox.data8.jobs import Jobs

__all__ = ["Data8"]


class Data8(Access, ApiKeys, Jobs):
    """Data8."""
