"""Job functions, and the services that they get."""

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
    """The dependencies of job functions.

    Attributes:
        storage: of inputs and results.
        ledger: for commands about other jobs.
        retry_deadline: maximum age of a retried job, in seconds.
        creditsafe_client: None if Creditsafe has no settings; likewise the others.
    """

    storage: Storage
    ledger: Ledger
    retry_deadline: float
    creditsafe_client: Creditsafe | None = None
    data8_client: Data8 | None = None
    sayari_client: Sayari | None = None

    @property
    def creditsafe(self) -> Creditsafe:
        """Creditsafe's client. Raises `JobFailed` if it has no settings."""
        return _require(self.creditsafe_client, "creditsafe")

    @property
    def data8(self) -> Data8:
        """Data8's client. Raises `JobFailed` if it has no settings."""
        return _require(self.data8_client, "data8")

    @property
    def sayari(self) -> Sayari:
        """Sayari's client. Raises `JobFailed` if it has no settings."""
        return _require(self.sayari_client, "sayari")

    def vendors(self) -> set[str]:
        """Return the vendors that have settings."""
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


def _require(client: T | None, vendor: str) -> T:
    if client is None:
        raise JobFailed(Code.INTERNAL_ERROR, f"this worker has no settings for {vendor}")
    return client
