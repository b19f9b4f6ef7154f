"""The call budget of one vendor: at most N calls in any window, by class of operation."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from pyrate_limiter import InMemoryBucket
from pyrate_limiter import Rate as BucketRate
from pyrate_limiter.abstracts import RateItem

from workers.settings import Rate


class Budget:
    """Counts calls. Never blocks: it says how long to wait, and the job waits in the ledger.

    Args:
        rates: the limit of each class; a class without one is free.
    """

    def __init__(self, rates: Mapping[str, Rate | None]) -> None:
        self._buckets = {
            kind: InMemoryBucket([BucketRate(rate.calls, int(rate.seconds * 1000))])
            for kind, rate in rates.items()
            if rate is not None
        }
        self._lock = threading.Lock()

    def __call__(self, kind: str) -> float:
        """Take one call of the class `kind`: 0 if it may be made now, else seconds until it may."""
        bucket = self._buckets.get(kind)
        if bucket is None:
            return 0.0
        with self._lock:
            now = int(time.monotonic() * 1000)
            item = RateItem(kind, now)
            bucket.leak(now)
            if bucket.put(item):
                return 0.0
            wait = bucket.waiting(item)
        return max(float(wait), 1.0) / 1000 if isinstance(wait, (int, float)) else 1.0
