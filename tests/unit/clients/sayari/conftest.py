from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.support.recording_client import RecordingClient
from tests.support.sayari_client import Scene, record_sayari


@pytest.fixture(scope="module")
def recorder() -> Iterator[RecordingClient[Sayari]]:
    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        recorder = record_sayari(sandbox)
        yield recorder
        recorder.close()


@pytest.fixture
def client(recorder: RecordingClient[Sayari]) -> Sayari:
    return recorder.connect()


@pytest.fixture
def scene(client: Sayari) -> Scene:
    return Scene.at(client)
