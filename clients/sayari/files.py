"""Answers that are files: written to a binary file as they arrive, in constant memory."""

from __future__ import annotations

from typing import IO, Any

from clients.operation import Call
from clients.transport import Transport


def save(transport: Transport, call: Call, to: IO[bytes], accept: str, **request: Any) -> None:
    """Send `call` with `Accept: accept` and write the answer's body to `to`.

    Raises `clients.errors.VendorError`; what was written by then is incomplete.
    """
    with call.stream(headers={"Accept": accept}, **request) as response, transport.reading(call.operation):
        for chunk in response.iter_bytes():
            to.write(chunk)
