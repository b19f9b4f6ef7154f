"""Data8's stand-in."""

from __future__ import annotations

from sandbox.core import StandIn


class Data8(StandIn):
    """Data8."""

    vendor = "data8"
