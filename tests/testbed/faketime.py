"""Debian's `libfaketime`, a library that shifts the clock of a process."""

from __future__ import annotations

from pathlib import Path

from tests.testbed.server import Missing


def library() -> str:
    """Return the path of the library, for `LD_PRELOAD`. Raises `Missing`."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        raise Missing("clocks are set apart by libfaketime: install the package libfaketime")
    return str(libraries[0])
