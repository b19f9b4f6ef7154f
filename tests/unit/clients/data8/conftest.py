from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.data8 import Data8
from sandbox import Sandbox
from tests.support.data8_client import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Sandbox() as sandbox:
        rig = Rig(sandbox)
        yield rig
        for client in rig.open:
            client.close()


@pytest.fixture
def client(rig: Rig) -> Data8:
    return rig.connect()
