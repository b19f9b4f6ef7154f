"""Actions that are repeated for a while."""

from __future__ import annotations

import time
from collections.abc import Callable


def every(seconds: float, length: float, action: Callable[[int], object]) -> None:
    """Call `action` every `seconds` for `length` seconds, with 0, 1, 2 …"""
    deadline = time.monotonic() + length
    number = 0
    while time.monotonic() < deadline:
        time.sleep(seconds)
        action(number)
        number += 1
