"""Credentials that may be rotated while the process runs: secret files are read again at each use.

Kubernetes replaces a mounted secret atomically, so a file is always complete. A setting from the environment keeps
its value for the life of the process.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import SecretStr

from workers.redaction import REDACTOR

log = structlog.get_logger("kyb.credentials")

#: Where containers have secrets as files, each named like its environment variable.
DEFAULT_SECRETS_FOLDER = Path("/run/secrets")


def secrets_folder() -> Path:
    """Return `KYB_SECRETS_DIR`, by default `/run/secrets`; it need not exist."""
    return Path(os.environ.get("KYB_SECRETS_DIR") or DEFAULT_SECRETS_FOLDER)


def reloading_secret(variable: str, loaded: str | SecretStr) -> Callable[[], str]:
    """Return a function that returns the current value of a secret setting.

    Args:
        variable: name of the setting, e.g. `KYB_DATA8__CLIENT_SECRET`.
        loaded: its value when the process started. If the value came from a file, the file is read at each call.
    """
    last = loaded if isinstance(loaded, str) else loaded.get_secret_value()
    path = _file(variable)
    if path is None or _read(path) != last:
        return lambda: last

    def current() -> str:
        nonlocal last
        secret = _read(path)
        if secret is None:
            log.warning("secret unreadable", variable=variable)
        elif secret != last:
            REDACTOR.learn(secret)
            last = secret
            log.info("secret reloaded", variable=variable)
        return last

    return current


def _file(variable: str) -> Path | None:
    """Return the file of a setting, None if there is none. The case of its name does not matter."""
    try:
        return next((f for f in secrets_folder().iterdir() if f.name.upper() == variable), None)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    """Return the secret in a file without surrounding whitespace, None if it cannot be read."""
    try:
        return path.read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None
