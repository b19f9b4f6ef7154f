"""The four calls of the job at Data8, in plain httpx, as a first version would have them."""

from __future__ import annotations

import os
import uuid
from typing import Any

import httpx

COMPLETE, FAILED = 2, 3
#: Time between two polls.
POLL_INTERVAL_SECONDS = float(os.environ["PEER_INTERVAL"])
_URL = os.environ["PEER_DATA8"]
_DATASET = os.environ["PEER_DATASET"]
_PLAIN_NAMES = os.environ["PEER_PLAIN_NAMES"]


def job_name(id: str) -> str:
    """Return the job's name at Data8, which can be used only once: with a random part, unless the id is marked."""
    return id if _PLAIN_NAMES in id else f"{id}-{uuid.uuid4().hex[:8]}"


def _token() -> dict[str, str]:
    form = {
        "grant_type": "client_credentials", "scope": "BatchApi", "client_id": "sandbox", "client_secret": "sandbox",
    }  # fmt: skip
    answer = httpx.post(f"{_URL}/connect/token", data=form, trust_env=False).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _request(name: str) -> dict[str, Any]:
    return {"name": name, "workflowName": "Echo", "inputDatasets": {"Companies": _DATASET}}


def _if_complete(job: dict[str, Any]) -> dict[str, Any] | None:
    if job["status"] == FAILED:
        raise RuntimeError(f"{job['name']} has failed")
    return job if job["status"] == COMPLETE else None


class Data8:
    """A client for threads."""

    def __init__(self) -> None:
        self._http = httpx.Client(base_url=_URL, headers=_token(), timeout=30, trust_env=False)

    def start(self, name: str) -> None:
        """Start the job."""
        self._http.post("/Job", json=_request(name)).raise_for_status()

    def finished(self, name: str) -> dict[str, Any] | None:
        """Return the job if it is done."""
        return _if_complete(self._http.get(f"/Job/{name}").raise_for_status().json())

    def statistics(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return what the vendor says of the outputs."""
        return {
            slot: self._http.get(f"/Dataset/{dataset}").raise_for_status().json()["recordCount"]
            for slot, dataset in job["outputDatasets"].items()
        }


class AsyncData8:
    """A client for an event loop."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(base_url=_URL, headers=_token(), timeout=30, trust_env=False)

    async def start(self, name: str) -> None:
        """Start the job."""
        (await self._http.post("/Job", json=_request(name))).raise_for_status()

    async def finished(self, name: str) -> dict[str, Any] | None:
        """Return the job if it is done."""
        return _if_complete((await self._http.get(f"/Job/{name}")).raise_for_status().json())

    async def statistics(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return what the vendor says of the outputs."""
        counts = {}
        for slot, dataset in job["outputDatasets"].items():
            counts[slot] = (
                (await self._http.get(f"/Dataset/{dataset}")).raise_for_status().json()["recordCount"]
            )
        return counts
