from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.data8 import Data8
from sandbox import Sandbox
from tests.support.data8_client import record_data8
from tests.support.recording_client import RecordingClient


@pytest.fixture
def recorder() -> Iterator[RecordingClient[Data8]]:
    with Sandbox() as sandbox:
        recorder = record_data8(sandbox)
        yield recorder
        recorder.close()


@pytest.fixture
def client(recorder: RecordingClient[Data8]) -> Data8:
    return recorder.connect()
