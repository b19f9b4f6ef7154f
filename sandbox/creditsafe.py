"""Creditsafe's stand-in."""

from __future__ import annotations

from sandbox.core import StandIn


class Creditsafe(StandIn):
    """Creditsafe."""

    vendor = "creditsafe"
