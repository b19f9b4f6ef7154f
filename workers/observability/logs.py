"""Structured logging: about one line per turn, coloured on a terminal and JSON elsewhere.

No line holds a secret (see `workers.redaction`) or the message of an unexpected exception, which may quote a record.
The exception's type and traceback are enough to find a defect.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

from workers.redaction import REDACTOR
from workers.settings import LogSettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Configure structlog and the standard library's loggers to write to `stream`, by default standard error."""
    stream = stream or sys.stderr
    level = _LEVELS[settings.level]
    pretty = settings.format == "console" or (settings.format is None and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared[:2], shared[3], structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                strip_exception_messages,
                REDACTOR,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Their errors reach us as exceptions. Their other log lines are noise, or hold addresses and bodies.
    noisy = (
        "httpx",
        "httpcore",
        "dramatiq",
        "alembic",
        "urllib3",
        "aiobotocore",
        "asyncssh",
        "botocore",
        "fsspec",
        "s3fs",
    )
    for name in ("pika", *noisy):
        logging.getLogger(name).setLevel(max(level, logging.ERROR if name == "pika" else logging.WARNING))


def strip_exception_messages(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the exception of a log line by its type and traceback without messages, causes first."""
    exc_info = event.pop("exc_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()[1]
    error = exc_info[1] if isinstance(exc_info, tuple) else exc_info
    if isinstance(error, BaseException):
        event["exception"] = "".join(_format_error(error, set())).rstrip()
    return event


def _format_error(error: BaseException, formatted: set[int]) -> list[str]:
    formatted.add(id(error))
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    lines = (
        [*_format_error(cause, formatted), "then:\n"]
        if cause is not None and id(cause) not in formatted
        else []
    )
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            lines += [*_format_error(inner, formatted), "in a group:\n"]
    return [*lines, *_frames(error.__traceback__), f"{type(error).__module__}.{type(error).__qualname__}\n"]


def _frames(trace: TracebackType | None) -> list[str]:
    """Return the frames of a traceback, without lines of code and values of variables."""
    return [f"  {f.filename}:{f.lineno} in {f.name}\n" for f in traceback.extract_tb(trace)]
