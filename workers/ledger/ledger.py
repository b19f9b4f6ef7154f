"""The ledger: the database that records jobs, steps and events, and the three ways to use it."""

from __future__ import annotations

from workers.ledger.database import Database
from workers.ledger.dispatch_queue import DispatchQueue
from workers.ledger.job_store import JobStore
from workers.ledger.locks import build_locks
from workers.ledger.queries import LedgerQueries


class Ledger:
    """One database, seen by turns and commands, by the dispatcher and by operators.

    Attributes:
        jobs: accepts, locks, reschedules, cancels and retries jobs.
        dispatch: due turns, the outbox, lost turns and leader election.
        queries: jobs, steps, events and statistics; purges and erases.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        locks = build_locks(database)
        self.jobs = JobStore(database, locks)
        self.dispatch = DispatchQueue(database, locks)
        self.queries = LedgerQueries(database)
