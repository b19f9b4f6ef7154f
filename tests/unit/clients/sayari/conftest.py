from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.sayari import Sayari
from sandbox import Sandbox
from sandbox.core import World
from tests.support.sayari_client import Rig, Scene


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Sandbox(world=World(job_seconds=0, queue_seconds=0)) as sandbox:
        rig = Rig(sandbox)
        yield rig
        for client in rig.open:
            client.close()


@pytest.fixture
def client(rig: Rig) -> Sayari:
    return rig.connect()


@pytest.fixture
def scene(client: Sayari) -> Scene:
    return Scene.at(client)
