"""Credentials that change while the process runs: files below the secrets folder are read again when they are used.

Kubernetes swaps a mounted secret in one step, so a file is always whole. A setting that came from the
environment stays as it is for the life of the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import SecretStr

from workers.redaction import REDACTOR

log = structlog.get_logger("kyb.credentials")

#: Where a container finds its secrets as files, each named as its variable.
DEFAULT = Path("/run/secrets")


def secrets_folder() -> Path:
    """`KYB_SECRETS_DIR`, or `/run/secrets`; it need not exist."""
    return Path(os.environ.get("KYB_SECRETS_DIR") or DEFAULT)


def reloading_secret(variable: str, loaded: str | SecretStr) -> Callable[[], str]:
    """Gives the setting as it is now: from its file, if that is where it was loaded from.

    Args:
        variable: the setting's name, e.g. `KYB_DATA8__CLIENT_SECRET`.
        loaded: its value when the process started.
    """
    last = loaded if isinstance(loaded, str) else loaded.get_secret_value()
    path = _file(variable)
    if path is None or _read(path) != last:
        return lambda: last

    def now() -> str:
        nonlocal last
        found = _read(path)
        if found is None:
            log.warning("secret unreadable", variable=variable)
        elif found != last:
            REDACTOR.learn(found)
            last = found
            log.info("secret reloaded", variable=variable)
        return last

    return now


def _file(variable: str) -> Path | None:
    """The file of a setting; case does not count, as in the environment."""
    try:
        return next((f for f in secrets_folder().iterdir() if f.name.upper() == variable), None)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    """The secret in a file, without the line end that editors add; None if there is none to be read."""
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
