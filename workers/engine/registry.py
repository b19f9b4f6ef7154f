"""Which function does which command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from messages.base import Command, Result
from messages.errors import Code
from workers.engine.context import Run
from workers.errors import JobFailed
from workers.files.storage import Storage

if TYPE_CHECKING:
    from clients.creditsafe import Creditsafe
    from clients.data8 import Data8
    from clients.sayari import Sayari
    from workers.ledger.ledger import Ledger

C = TypeVar("C", bound=Command)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Services:
    """What job functions work with. A vendor without settings is not there."""

    storage: Storage
    ledger: Ledger
    retry_deadline: float
    creditsafe_client: Creditsafe | None = None
    data8_client: Data8 | None = None
    sayari_client: Sayari | None = None

    @property
    def creditsafe(self) -> Creditsafe:
        """Creditsafe's client."""
        return _set(self.creditsafe_client, "creditsafe")

    @property
    def data8(self) -> Data8:
        """Data8's client."""
        return _set(self.data8_client, "data8")

    @property
    def sayari(self) -> Sayari:
        """Sayari's client."""
        return _set(self.sayari_client, "sayari")

    def vendors(self) -> set[str]:
        """The vendors that have settings."""
        return set(self._clients())

    def close(self) -> None:
        """Close the connections of clients and storage."""
        for client in self._clients().values():
            client.close()
        self.storage.close()

    def _clients(self) -> dict[str, Creditsafe | Data8 | Sayari]:
        clients = {
            "creditsafe": self.creditsafe_client,
            "data8": self.data8_client,
            "sayari": self.sayari_client,
        }
        return {vendor: client for vendor, client in clients.items() if client is not None}


JobFunction = Callable[[Any, Run, Services], Result]

T = TypeVar("T")


def _set(client: T | None, vendor: str) -> T:
    if client is None:
        raise JobFailed(Code.INTERNAL_ERROR, f"this worker has no settings for {vendor}")
    return client
