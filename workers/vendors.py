"""The vendors' clients, made from the settings."""

from __future__ import annotations

from clients.creditsafe import Creditsafe
from clients.data8 import Assumptions, Data8
from clients.sayari import Sayari
from workers.budget import Budget
from workers.jobs.registry import Tools
from workers.ledger.ledger import Ledger
from workers.settings import (
    CreditsafeSettings,
    Data8Assumptions,
    Data8Settings,
    SayariSettings,
    Settings,
    SettingsError,
)
from workers.storage import Storage
from workers.turns import count_call


def tools_of(settings: Settings, ledger: Ledger) -> Tools:
    """What job functions work with; vendors without settings are left out."""
    return Tools(
        storage=Storage(settings.storage.roots(), settings.storage.results),
        ledger=ledger,
        retry_deadline=settings.polling.deadline,
        creditsafe_client=None if settings.creditsafe is None else creditsafe_of(settings.creditsafe),
        data8_client=None if settings.data8 is None else data8_of(settings.data8),
        sayari_client=None if settings.sayari is None else sayari_of(settings.sayari),
    )


def creditsafe_of(settings: CreditsafeSettings) -> Creditsafe:
    """Creditsafe's client."""
    return Creditsafe.connect(
        settings.base_url,
        settings.username,
        settings.password.get_secret_value(),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=Budget({"standard": settings.rate}),
        observe=count_call,
    )


def data8_of(settings: Data8Settings) -> Data8:
    """Data8's client."""
    return Data8.connect(
        settings.base_url,
        settings.token_url,
        settings.client_id,
        settings.client_secret.get_secret_value(),
        basic_auth=settings.basic_auth,
        assumptions=assumptions_of(settings.assumptions),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=Budget({"standard": settings.rate}),
        observe=count_call,
    )


def assumptions_of(settings: Data8Assumptions) -> Assumptions:
    """What is believed of Data8 where nothing is published. Raises `SettingsError` if it contradicts itself."""
    try:
        return Assumptions(**settings.model_dump(exclude_none=True))
    except ValueError as error:
        raise SettingsError(f"KYB_DATA8__ASSUMPTIONS: {error}") from None


def sayari_of(settings: SayariSettings) -> Sayari:
    """Sayari's client."""
    return Sayari.connect(
        settings.base_url,
        settings.client_id,
        settings.client_secret.get_secret_value(),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        budget=Budget({"standard": settings.rate, "advanced": settings.rate_advanced}),
        observe=count_call,
    )
