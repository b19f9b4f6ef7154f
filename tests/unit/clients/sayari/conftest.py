from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.support.sayari_client import RecordingClient, Scene


@pytest.fixture(scope="module")
def recorder() -> Iterator[RecordingClient]:
    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        recorder = RecordingClient(sandbox)
        yield recorder
        for client in recorder.open:
            client.close()


@pytest.fixture
def client(recorder: RecordingClient) -> Sayari:
    return recorder.connect()


@pytest.fixture
def scene(client: Sayari) -> Scene:
    return Scene.at(client)
