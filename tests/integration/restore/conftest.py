"""Worker processes and an upstream, as in the end-to-end tests."""

from __future__ import annotations

from tests.end_to_end.conftest import home, kyb, operator, settings, upstream, workers

__all__ = ["home", "kyb", "operator", "settings", "upstream", "workers"]
