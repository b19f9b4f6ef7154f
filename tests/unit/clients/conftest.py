from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest

from clients.transport import Transport
from tests.support.vendor_server import VendorServer, tokens


@pytest.fixture
def serve() -> Iterator[Callable[[], VendorServer]]:
    with contextlib.ExitStack() as stack:

        def start() -> VendorServer:
            vendor = stack.enter_context(VendorServer())
            threading.Thread(target=vendor.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(vendor.shutdown)
            return vendor

        yield start


@pytest.fixture
def vendor(serve: Callable[[], VendorServer]) -> VendorServer:
    return serve()


@pytest.fixture
def transport(vendor: VendorServer) -> Iterator[Transport]:
    transport = Transport("data8", vendor.url, tokens())
    yield transport
    transport.close()
