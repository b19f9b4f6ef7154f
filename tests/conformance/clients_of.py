"""The vendors' clients at a sandbox."""

from __future__ import annotations

from typing import Any

import httpx

from clients.creditsafe import Creditsafe
from clients.data8 import Data8
from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME

VENDORS = ("creditsafe", "data8", "sayari")


def connect(vendor: str, sandbox: Sandbox, http: httpx.Client | None = None) -> Any:
    """The client of `vendor`; a new one has no token yet."""
    url = f"{sandbox.url}/{vendor}"
    match vendor:
        case "creditsafe":
            return Creditsafe.connect(url, USERNAME, PASSWORD, http=http)
        case "data8":
            return Data8.connect(url, f"{url}/connect/token", USERNAME, PASSWORD, http=http)
        case _:
            return Sayari.connect(url, USERNAME, PASSWORD, http=http)
