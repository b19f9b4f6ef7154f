"""Waiting for other processes and threads, which offer no event to await."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import pytest

T = TypeVar("T")

INTERVAL_SECONDS = 0.05


def wait_until(
    condition: Callable[[], T | None],
    seconds: float = 20.0,
    message: Callable[[], str] = lambda: "the condition was never met",
) -> T:
    """Call `condition` until it returns something true, and return that.

    Args:
        condition: is called every 50 ms.
        seconds: time limit.
        message: makes the text of the failure, e.g. from a process's log.

    Raises:
        AssertionError: the condition was not met in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, message()
        time.sleep(INTERVAL_SECONDS)
    return value


def wait_for_line(stream: Iterable[str] | None, text: str) -> str:
    """Read lines until one contains `text`, and return that line.

    Args:
        stream: of a process's output; reading it blocks, so the test's time limit applies.
        text: part of the line.
    """
    assert stream is not None
    lines = []
    for line in stream:
        if text in line:
            return line
        lines.append(line)
    pytest.fail(f"the stream ended without {text!r}; its last lines:\n{''.join(lines[-20:])}")
