"""Values that the examples of several commands share."""

from __future__ import annotations

from messages.base import File

#: The run of an upstream system that all examples belong to.
BATCH = "customers-2026-08"
PORTFOLIO_ID = "0b6d1a3e-5f7c-4a8e-9d21-6c3f0e8b7a54"
NDJSON = "application/x-ndjson"


def example_file(job: str, name: str, media_type: str, records: int | None, size: int) -> File:
    """Return the result file `name` of the job `<BATCH>.<job>`; `size` is in bytes."""
    return File(
        uri=f"file:///var/lib/kyb/results/{BATCH}.{job}/{name}",
        media_type=media_type,
        records=records,
        bytes=size,
        sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    )
