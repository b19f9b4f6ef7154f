"""Optional dependencies: a plain install is light, and a feature names the extra that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Literal

Extra = Literal["s3", "sftp", "parquet", "otel", "sandbox"]

#: Top-level modules that each extra installs (pyproject.toml).
MODULES: dict[Extra, tuple[str, ...]] = {
    "s3": ("s3fs", "fsspec", "aiohttp", "botocore"),
    "sftp": ("asyncssh", "fsspec"),
    "parquet": ("pyarrow",),
    "otel": ("opentelemetry",),
    "sandbox": ("starlette", "uvicorn", "python_multipart"),
}


class MissingExtra(Exception):
    """A feature is used whose extra is not installed; the message says how to install it."""

    def __init__(self, extra: Extra, purpose: str) -> None:
        super().__init__(f"{purpose} needs the extra {extra}: pip install 'kyb-workers[{extra}]'")


def require(extra: Extra, purpose: str) -> None:
    """Raise `MissingExtra` unless the modules of the extra can be found. Nothing is imported.

    Args:
        extra: the extra.
        purpose: what needs it, for the message.
    """
    if any(find_spec(module) is None for module in MODULES[extra]):
        raise MissingExtra(extra, purpose)


@contextmanager
def importing(extra: Extra, purpose: str) -> Iterator[None]:
    """Turn a failing import of the extra's modules within the block into `MissingExtra`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] in MODULES[extra]:
            raise MissingExtra(extra, purpose) from error
        raise
