"""Storage of inputs and results: below configured roots, on this machine or elsewhere.

A message may name any URI, so nothing outside the input roots is ever opened. Results appear complete or not at all.
"""

from __future__ import annotations

from workers.files.storage.drafts import Appender, Draft, DraftLost
from workers.files.storage.storage import Storage
from workers.files.storage.uris import file_name

__all__ = ["Appender", "Draft", "DraftLost", "Storage", "file_name"]
