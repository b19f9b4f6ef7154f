"""How a worker's memory stays flat, and is cheap to look after, while threads move many rows."""

from __future__ import annotations

import ctypes
import gc

#: The parameter of glibc's `mallopt` that limits its arenas (`malloc.h`).
_M_ARENA_MAX = -8
#: Arenas that all threads share; by default there are eight for each core.
ARENAS = 2


def tune() -> None:
    """Fit a worker's memory to its work; to be called when everything is imported and before threads are started.

    A transfer's threads fill and free megabytes a second. With a heap of its own each would keep what lies between
    pieces still in use: a million rows took twice the memory. A C library without `mallopt`, i.e. any but glibc,
    knows no arenas.

    What was imported stays, so that it need not be looked through for garbage again and again. That is faster, and
    the collector comes sooner to what a turn leaves behind: it waits until there is a quarter more than it knows of.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
    gc.collect()
    gc.freeze()
