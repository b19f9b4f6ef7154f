"""Expected errors: their message and exit code."""

from __future__ import annotations

import sys

JOB_FAILED = 1
WRONG_USAGE = 2
UNREACHABLE = 3

#: By module and name, so that a command imports no module only for its exceptions.
_KNOWN = {
    ("workers.settings", "SettingsError"): (WRONG_USAGE, ""),
    ("workers.extras", "MissingExtra"): (WRONG_USAGE, ""),
    ("workers.engine.worker", "QueueNotServed"): (WRONG_USAGE, ""),
    ("workers.ledger.database", "LedgerUnavailable"): (UNREACHABLE, "cannot reach the ledger: "),
    ("workers.ledger.database", "LedgerOutdated"): (UNREACHABLE, ""),
    ("workers.broker.connection", "BrokerUnavailable"): (UNREACHABLE, ""),
}


def describe_error(error: Exception) -> tuple[str, int] | None:
    """Return an error's message and exit code; None for an unexpected error."""
    for (module, name), (code, prefix) in _KNOWN.items():
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return prefix + "; ".join(str(error).splitlines()), code
    return None
