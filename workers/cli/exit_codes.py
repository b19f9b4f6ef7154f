"""Expected trouble: what to say of it, and the exit code."""

from __future__ import annotations

import sys

JOB_FAILED = 1
WRONG_USAGE = 2
UNREACHABLE = 3

#: By module and name, so that a command that needs no ledger does not import one to learn its exceptions.
_KNOWN = {
    ("workers.settings", "SettingsError"): (WRONG_USAGE, ""),
    ("workers.extras", "MissingExtra"): (WRONG_USAGE, ""),
    ("workers.engine.worker", "QueueNotServed"): (WRONG_USAGE, ""),
    ("workers.ledger.database", "LedgerUnavailable"): (UNREACHABLE, "cannot reach the ledger: "),
    ("workers.ledger.database", "LedgerOutdated"): (UNREACHABLE, ""),
    ("workers.broker.connection", "BrokerUnavailable"): (UNREACHABLE, ""),
}


def describe_error(error: Exception) -> tuple[str, int] | None:
    """One line for people and the exit code; None for a defect."""
    for (module, name), (code, prefix) in _KNOWN.items():
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance(error, getattr(loaded, name)):
            return prefix + "; ".join(str(error).splitlines()), code
    return None
