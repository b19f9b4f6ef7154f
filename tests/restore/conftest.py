"""Worker processes and an upstream, as in the end-to-end tests."""

from __future__ import annotations

from tests.end_to_end.conftest import upstream, workers

__all__ = ["upstream", "workers"]
