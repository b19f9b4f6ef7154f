"""When to ask a vendor again, learned from how long earlier jobs took: one rule, no I/O.

`rule` decides, `belief` is what it knows of durations, `history` makes that of the ledger's past waits.
"""

from workers.ledger.records import Past
from workers.polling.history import History
from workers.polling.policy import Evidence, Lateness, Outlook, lateness, next_look, outlook

__all__ = ["Evidence", "History", "Lateness", "Outlook", "Past", "lateness", "next_look", "outlook"]
