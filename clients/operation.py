"""A documented vendor operation, its call and its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any, Protocol, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import to_json

from clients.errors import OutcomeUnknown, VendorError, VendorUnavailable
from clients.wire import Params, query

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Operation:
    """A documented operation: dotted name, verb, path template, whether it has an effect, rate-limit class."""

    name: str
    method: str
    path: str
    effect: bool = False
    rate_limit: str = "standard"


class Sender(Protocol):
    """A sender of operations, such as `clients.transport.Transport`."""

    vendor: str
    concurrency: int

    def open(
        self, operation: Operation, path: str, request_kwargs: dict[str, Any]
    ) -> AbstractContextManager[httpx.Response]:
        """Send an authenticated request; yield the 2xx answer unread."""

    def reading(self, operation: Operation) -> AbstractContextManager[None]:
        """Translate connection errors during the read of an answer into the client's own."""


class Answer:
    """A vendor's 2xx answer, read whole."""

    def __init__(self, transport: Sender, operation: Operation, response: httpx.Response) -> None:
        self._transport = transport
        self._operation = operation
        self.response = response

    def json(self, *, parse_float: Callable[[str], Any] | None = None) -> Any:
        """Return the body as JSON, None if it is empty; `parse_float` as in `json.loads`, e.g. `Decimal`."""
        if not self.response.content.strip():
            return None
        try:
            return self.response.json(parse_float=parse_float)
        except ValueError as error:
            raise self._unreadable("is not JSON") from error

    def model(self, model: type[M]) -> M:
        """Return the body as `model`. Raises `OutcomeUnknown` (effects) or `VendorUnavailable` if it does not fit."""
        return self._valid(model.model_validate)

    def adapt(self, adapter: TypeAdapter[T]) -> T:
        """Return the body as the adapter's type. Raises as `model` does."""
        return self._valid(adapter.validate_python)

    def _valid(self, validate: Callable[[Any], T]) -> T:
        try:
            return validate(self.json())
        except ValidationError as error:
            places = ", ".join(".".join(map(str, e["loc"])) or "body" for e in error.errors()[:5])
            raise self._unreadable(f"has another shape than expected at: {places}") from None

    def _unreadable(self, why: str) -> VendorError:
        kind = OutcomeUnknown if self._operation.effect else VendorUnavailable
        return kind(
            self._transport.vendor,
            self._operation.name,
            f"the answer {why}",
            status=self.response.status_code,
        )


class Call:
    """One operation, ready to be sent: `call(path={…}, json={…})`."""

    def __init__(self, transport: Sender, operation: Operation) -> None:
        self._transport = transport
        self.operation = operation

    def __call__(
        self,
        *,
        path: Mapping[str, str | int] | None = None,
        params: Params | None = None,
        json: Any = None,
        content: bytes | IO[bytes] | Iterator[bytes] | None = None,
        files: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send the request and read the whole answer. Raises `clients.errors.VendorError`.

        Args:
            path: values of the path's parameters, percent-encoded here, `/` included.
            params: the query; None values are dropped, booleans are `true`/`false`, lists repeat the key.
            json: a JSON body.
            content: a raw body; files and iterators are streamed.
            files: multipart parts, as httpx takes them; open files are streamed.
            headers: more headers, e.g. `Accept`.
        """
        with self.stream(
            path=path, params=params, json=json, content=content, files=files, headers=headers
        ) as response:
            with self._transport.reading(self.operation):
                response.read()
            return Answer(self._transport, self.operation, response)

    @contextmanager
    def stream(
        self,
        *,
        path: Mapping[str, str | int] | None = None,
        params: Params | None = None,
        json: Any = None,
        content: bytes | IO[bytes] | Iterator[bytes] | None = None,
        files: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[httpx.Response]:
        """Send the request and yield the 2xx answer unread, e.g. for `response.iter_bytes()`."""
        filled = self.operation.path.format(**{k: quote(str(v), safe="") for k, v in (path or {}).items()})
        all_headers = dict(headers or {})
        if json is not None:  # the same bytes as httpx's, in a third of the time
            content, all_headers = to_json(json), {"Content-Type": "application/json"} | all_headers
        request_kwargs: dict[str, Any] = {
            "params": query(params), "content": content, "files": files, "headers": all_headers,
        }  # fmt: skip
        with self._transport.open(self.operation, filled, request_kwargs) as response:
            yield response
