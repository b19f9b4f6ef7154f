"""A recording Data8 client."""

from __future__ import annotations

from functools import partial

from clients.data8 import Data8
from sandbox import Sandbox
from tests.support.recording_client import RecordingClient


def record_data8(sandbox: Sandbox) -> RecordingClient[Data8]:
    """Return recording clients of the sandbox's Data8 simulator."""
    path = "/data8/connect/token"
    return RecordingClient(
        sandbox, partial(Data8.connect, f"{sandbox.url}/data8", f"{sandbox.url}{path}"), path
    )
