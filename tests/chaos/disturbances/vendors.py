"""Disturbances of the vendors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx

from sandbox.core import Fault
from tests.chaos.disturbances.repeat import every
from tests.chaos.installation import Installation
from tests.chaos.trial import Situation

#: Effects that happen twice when their call is repeated.
EFFECTS_WITHOUT_UNIQUE_NAME = (
    "creditsafe.portfolios.create",
    "creditsafe.records.import_file",
    "creditsafe.matching.start",
    "sayari.projects.create",
    "sayari.projects.resolutions.upload",
)


def faulty(**fault: Any) -> Callable[[Situation], None]:
    """Return a disturbance in which calls to all vendors fail for a while."""

    def disturb(now: Situation) -> None:
        faults = now.installation.sandbox.state.faults
        time.sleep(1.0)
        faults["*"].append(Fault(times=1_000_000, **fault))
        time.sleep(now.length)
        faults.clear()

    return disturb


def effects_hang(now: Situation) -> None:
    """Let half of the calls that create something take effect after their caller's timeout."""
    faults = now.installation.sandbox.state.faults
    for operation in EFFECTS_WITHOUT_UNIQUE_NAME:
        faults[operation].append(Fault("slow", times=1_000_000, seconds=3.0, chance=0.5))
    time.sleep(now.length)
    faults.clear()


def links_expired(now: Situation) -> None:
    """Let links to results expire at once."""
    state = now.installation.sandbox.state
    default, state.link_seconds = state.link_seconds, 0.0
    time.sleep(now.length)
    state.link_seconds = default


def long_timeouts(installation: Installation) -> None:
    """Set timeouts under which a hang of 30 s is still within the assumed time for an effect to settle."""
    for vendor in ("CREDITSAFE", "DATA8", "SAYARI"):
        installation.settings[f"KYB_{vendor}__TIMEOUT"] = "16"


def short_deadline(installation: Installation) -> None:
    """Set a short deadline, which jobs that never end reach soon."""
    installation.settings["KYB_POLLING__DEADLINE"] = "45s"


def tokens_revoked(now: Situation) -> None:
    url = f"{now.installation.sandbox.url}/_sandbox/expire-tokens"
    every(1.7, now.length, lambda _: httpx.post(url, trust_env=False).raise_for_status())
