"""Builds the vendors' clients from the settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

import httpx

from clients.creditsafe import Creditsafe
from clients.data8 import Assumptions, Data8
from clients.sayari import Sayari
from clients.transport import Observation
from workers.credentials import reloading_secret
from workers.engine.registry import Services
from workers.engine.turn_context import count_call
from workers.files.storage import Storage
from workers.ledger.database import Database
from workers.ledger.ledger import Ledger
from workers.rate_limits.limiter import LocalRateLimiter, SharedRateLimiter
from workers.settings import (
    CreditsafeSettings,
    Data8Assumptions,
    Data8Settings,
    Rate,
    SayariSettings,
    Settings,
    SettingsError,
    VendorSettings,
)


def build_services(settings: Settings, ledger: Ledger) -> Services:
    """Return the services of job functions; vendors without settings are left out."""
    database = ledger.database
    return Services(
        storage=Storage.of(settings.storage),
        ledger=ledger,
        retry_deadline=settings.polling.deadline,
        creditsafe_client=build_creditsafe_client(settings.creditsafe, database)
        if settings.creditsafe
        else None,
        data8_client=build_data8_client(settings.data8, database) if settings.data8 else None,
        sayari_client=build_sayari_client(settings.sayari, database) if settings.sayari else None,
    )


def build_creditsafe_client(settings: CreditsafeSettings, database: Database | None = None) -> Creditsafe:
    """Return Creditsafe's client. With a database, all workers of the ledger share the rate limits."""
    return Creditsafe.connect(
        settings.base_url,
        reloading_secret("KYB_CREDITSAFE__USERNAME", settings.username),
        reloading_secret("KYB_CREDITSAFE__PASSWORD", settings.password),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        **_call_hooks(database, "creditsafe", settings),
    )


def build_data8_client(settings: Data8Settings, database: Database | None = None) -> Data8:
    """Return Data8's client. With a database, all workers of the ledger share the rate limits."""
    return Data8.connect(
        settings.base_url,
        settings.token_url,
        reloading_secret("KYB_DATA8__CLIENT_ID", settings.client_id),
        reloading_secret("KYB_DATA8__CLIENT_SECRET", settings.client_secret),
        basic_auth=settings.basic_auth,
        assumptions=data8_assumptions_from(settings.assumptions),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        **_call_hooks(database, "data8", settings),
    )


def data8_assumptions_from(settings: Data8Assumptions) -> Assumptions:
    """Return the assumptions about what Data8 does not document.

    Raises:
        SettingsError: the assumptions contradict each other.
    """
    try:
        return Assumptions(**settings.model_dump(exclude_none=True))
    except ValueError as error:
        raise SettingsError(f"KYB_DATA8__ASSUMPTIONS: {error}") from None


def build_sayari_client(settings: SayariSettings, database: Database | None = None) -> Sayari:
    """Return Sayari's client. With a database, all workers of the ledger share the rate limits."""
    return Sayari.connect(
        settings.base_url,
        reloading_secret("KYB_SAYARI__CLIENT_ID", settings.client_id),
        reloading_secret("KYB_SAYARI__CLIENT_SECRET", settings.client_secret),
        timeout=settings.timeout,
        concurrency=settings.concurrency,
        **_call_hooks(database, "sayari", settings),
    )


def rate_limits_from(settings: Settings) -> dict[tuple[str, str], Rate]:
    """Return the rate limits by vendor and class of operations."""
    limits = {
        (vendor, kind): rate
        for vendor, vendor_settings in (
            ("creditsafe", settings.creditsafe), ("data8", settings.data8), ("sayari", settings.sayari)
        )
        if vendor_settings is not None
        for kind, rate in _rates(vendor_settings).items()
    }  # fmt: skip
    return {key: rate for key, rate in limits.items() if rate is not None}


def _rates(settings: VendorSettings) -> dict[str, Rate | None]:
    rates = {"standard": settings.rate}
    if isinstance(settings, SayariSettings):
        rates["advanced"] = settings.rate_advanced
    return rates


class _CallHooks(TypedDict):
    acquire: Callable[[str], float]
    observe: Callable[[Observation], None]


def _call_hooks(database: Database | None, vendor: str, settings: VendorSettings) -> _CallHooks:
    """Return the rate limiter and the observer of a vendor's calls."""
    if database is None:
        return {"acquire": LocalRateLimiter(_rates(settings)), "observe": count_call}
    limiter = SharedRateLimiter(database, vendor, _rates(settings))

    def observe(observation: Observation) -> None:
        count_call(observation)
        if observation.status == httpx.codes.TOO_MANY_REQUESTS and observation.retry_after:
            limiter.pause(observation.rate_limit, observation.retry_after)

    return {"acquire": limiter, "observe": observe}
