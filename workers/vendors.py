"""The vendors' clients, made from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from clients.creditsafe import Creditsafe
from clients.data8 import Assumptions, Data8
from clients.sayari import Sayari
from workers.budget import Budget, SharedBudget
from workers.jobs.registry import Tools
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.settings import (
    CreditsafeSettings,
    Data8Assumptions,
    Data8Settings,
    Rate,
    SayariSettings,
    Settings,
    SettingsError,
)
from workers.storage import Storage
from workers.turns import count_call


def tools_of(settings: Settings, ledger: Ledger) -> Tools:
    """What job functions work with; vendors without settings are left out."""
    database = ledger.database
    return Tools(
        storage=Storage(settings.storage.roots(), settings.storage.results),
        ledger=ledger,
        retry_deadline=settings.polling.deadline,
        creditsafe_client=creditsafe_of(settings.creditsafe, database) if settings.creditsafe else None,
        data8_client=data8_of(settings.data8, database) if settings.data8 else None,
        sayari_client=sayari_of(settings.sayari, database) if settings.sayari else None,
    )


def creditsafe_of(settings: CreditsafeSettings, database: Database | None = None) -> Creditsafe:
    """Creditsafe's client; with the ledger's database its calls are counted for all workers together."""
    return Creditsafe.connect(
        settings.base_url,
        settings.username,
        settings.password.get_secret_value(),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=_budget(database, "creditsafe", {"standard": settings.rate}),
        observe=count_call,
    )


def data8_of(settings: Data8Settings, database: Database | None = None) -> Data8:
    """Data8's client; with the ledger's database its calls are counted for all workers together."""
    return Data8.connect(
        settings.base_url,
        settings.token_url,
        settings.client_id,
        settings.client_secret.get_secret_value(),
        basic_auth=settings.basic_auth,
        assumptions=assumptions_of(settings.assumptions),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=_budget(database, "data8", {"standard": settings.rate}),
        observe=count_call,
    )


def assumptions_of(settings: Data8Assumptions) -> Assumptions:
    """What is believed of Data8 where nothing is published. Raises `SettingsError` if it contradicts itself."""
    try:
        return Assumptions(**settings.model_dump(exclude_none=True))
    except ValueError as error:
        raise SettingsError(f"KYB_DATA8__ASSUMPTIONS: {error}") from None


def sayari_of(settings: SayariSettings, database: Database | None = None) -> Sayari:
    """Sayari's client; with the ledger's database its calls are counted for all workers together."""
    return Sayari.connect(
        settings.base_url,
        settings.client_id,
        settings.client_secret.get_secret_value(),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=_budget(database, "sayari", {"standard": settings.rate, "advanced": settings.rate_advanced}),
        observe=count_call,
    )


def _budget(
    database: Database | None, vendor: str, rates: Mapping[str, Rate | None]
) -> Callable[[str], float]:
    return Budget(rates) if database is None else SharedBudget(database, vendor, rates)
