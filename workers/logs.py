"""Logging: one line that matters per turn; pretty on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

from workers.settings import LogSettings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog and pass the standard library's loggers through it, to `stream` or standard error."""
    stream = stream or sys.stderr
    level = _LEVELS[settings.level]
    pretty = settings.format == "console" or (settings.format is None and stream.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Tracebacks without the values of local variables: those may be secrets or personal data.
    final: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Their news reach us as exceptions; what they log beside that is noise, or holds addresses and bodies.
    noisy = (
        "httpx",
        "httpcore",
        "dramatiq",
        "alembic",
        "aiobotocore",
        "asyncssh",
        "botocore",
        "fsspec",
        "s3fs",
    )
    for name in ("pika", *noisy):
        logging.getLogger(name).setLevel(max(level, logging.ERROR if name == "pika" else logging.WARNING))
