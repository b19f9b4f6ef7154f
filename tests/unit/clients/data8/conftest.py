from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.data8 import Data8
from sandbox import Sandbox
from tests.support.data8_client import RecordingClient


@pytest.fixture
def recorder() -> Iterator[RecordingClient]:
    with Sandbox() as sandbox:
        recorder = RecordingClient(sandbox)
        yield recorder
        for client in recorder.open:
            client.close()


@pytest.fixture
def client(recorder: RecordingClient) -> Data8:
    return recorder.connect()
