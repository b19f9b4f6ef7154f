"""Sayari's stand-in."""

from __future__ import annotations

from sandbox.core import StandIn


class Sayari(StandIn):
    """Sayari."""

    vendor = "sayari"
