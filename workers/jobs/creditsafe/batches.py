"""Records in batches that one request takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def split_into_batches(items: Sequence[T], limit: int) -> list[Sequence[T]]:
    """Return the items in order, in lists of at most `limit`."""
    return [items[start : start + limit] for start in range(0, len(items), limit)]
