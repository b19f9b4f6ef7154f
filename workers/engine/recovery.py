"""Recoveries that need no question to the vendor, for `Run.once`."""

from __future__ import annotations


def repeatable() -> None:
    """The recovery of an effect that may simply be done again, e.g. a write that overwrites itself."""


def baseline() -> None:
    """The recovery of a look at what was there before this job's effects, e.g. a count to compare with later.

    After a crash it is simply taken again. In a restored ledger the effects may have come since: nobody can tell.
    """
