"""A simulated environment for turns: a clock, a vendor in memory, and a fault at every place where one can occur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection, ExceptionContext, event

from clients.errors import (
    AuthenticationError,
    CircuitOpenError,
    Conflict,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    VendorUnavailable,
)
from clients.transport import before_effect
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.errors import Undecided
from workers.jobs.data8.upload import once_by_unique_name
from workers.ledger.database import Database, LedgerUnavailable
from workers.ledger.records import DueTurn, StoredEvent
from workers.polling.next_poll import PollResult

T = TypeVar("T")

#: Seconds within which a request may take effect after it was sent, as `RunLimits.effect_settle_seconds`.
IN_FLIGHT = 30.0
#: The records that a `counted` job adds, and the pages that a `paged` one sends.
ADDED = 3
PAGES = 4


class Crash(BaseException):
    """The worker process has died; none of its code catches this."""


class Clock:
    """Epoch seconds that a test advances. Each reading is a little later, so that no two times are equal."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0
        self.passing: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        self.seconds += 0.0001
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.passing()


@dataclass
class Plan:
    """A fault during the processing of one message.

    Attributes:
        call: number of the vendor call that it hits; -1 hits none.
        trouble: the fault of that call.
        commit: number of the writing commit that it hits; -1 hits none.
        breaks: how that commit breaks.
        stopping: whether the worker is shutting down.
    """

    call: int = -1
    trouble: str = ""
    commit: int = -1
    breaks: str = ""
    stopping: bool = False
    _calls: int = field(default=-1, init=False, repr=False)
    _commits: int = field(default=-1, init=False, repr=False)

    def next_call(self) -> str:
        self._calls += 1
        return self.trouble if self._calls == self.call else ""

    def next_commit(self) -> str:
        self._commits += 1
        return self.breaks if self._commits == self.commit else ""


COMMIT_TROUBLE = ("crash before", "crash after", "away before", "away after")


class SimulatedDatabase(Database):
    """The ledger's database with the simulated clock; any commit that writes may break."""

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(url)
        self._clock = clock
        self.plan = Plan()
        if self.sqlite:
            event.listen(self.engine, "connect", _hurry)
        event.listen(self.engine, "handle_error", _never_locked)
        event.listen(self.engine, "after_cursor_execute", _mark_writes)
        self._commit = self.engine.dialect.do_commit
        self.engine.dialect.do_commit = self._breaking_commit  # type: ignore[assignment, method-assign]

    def now(self) -> float:
        return self._clock()

    def _breaking_commit(self, connection: Any) -> None:
        breaks = self.plan.next_commit() if connection.info.pop("writes", False) else ""
        if breaks.endswith("before"):
            connection.rollback()  # as the database does when its client has gone
            raise Crash if breaks.startswith("crash") else LedgerUnavailable("gone before the commit")
        self._commit(connection)
        if breaks == "crash after":
            raise Crash
        if breaks == "away after":
            raise LedgerUnavailable("gone after the commit")


def _hurry(connection: Any, _: object) -> None:
    """No fsync, since no test loses power; and no waiting for locks, which one thread would do for ever."""
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA busy_timeout=0")


def _never_locked(context: ExceptionContext) -> None:
    assert "locked" not in str(context.original_exception), "a transaction was left open"


def _mark_writes(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
        connection.info["writes"] = True


@dataclass
class Late:
    """A request whose caller no longer waits, and which has not taken effect yet."""

    at: float
    act: Callable[[], object]


class Vendor:
    """The vendor: every effect, by the key that the job gave it."""

    def __init__(self, clock: Clock, meanwhile: Callable[[str], None]) -> None:
        self.plan = Plan()
        self.done: Counter[tuple[str, str]] = Counter()
        self.pages: dict[str, dict[int, int]] = {}
        self.failed: set[str] = set()
        self._clock = clock
        self._meanwhile = meanwhile
        self._late: list[Late] = []
        self._looks: Counter[str] = Counter()

    def land(self) -> None:
        """Let requests take effect whose time has come."""
        for late in [late for late in self._late if late.at <= self._clock.seconds]:
            self._late.remove(late)
            try:
                late.act()
            except Rejected:
                continue

    def count(self, kind: str, job_id: str) -> int:
        """Return how often an effect of a job happened, over all generations."""
        return sum(
            n for (each, key), n in self.done.items() if each == kind and key.rpartition("/")[0] == job_id
        )

    # -- what jobs call ---------------------------------------------------------------------------------

    def create(self, kind: str, key: str, *, refuse_seconds: bool = False) -> dict[str, str]:
        """An effect."""

        def act() -> dict[str, str]:
            if refuse_seconds and self.done[kind, key]:
                raise Conflict("simulated", kind, "there is one already", status=409)
            self.done[kind, key] += 1
            return {"key": key}

        return self._call(kind, act, effect=True)

    def find(self, kind: str, key: str) -> dict[str, str] | None:
        """Return the effect with this natural key."""
        return self._call(kind, lambda: {"key": key} if self.done[kind, key] else None)

    def tally(self, job_id: str) -> int:
        """Return how many records a job's container holds."""
        return self._call("tally", lambda: ADDED * self.count("counted", job_id))

    def look(self, key: str) -> PollResult:
        """Return the state of the vendor job: done at the third poll."""

        def act() -> PollResult:
            if key in self.failed:
                return PollResult("failed", detail="it fails")
            self._looks[key] += 1
            looks = self._looks[key]
            return PollResult("done", key) if looks > 2 else PollResult("running", percent=30.0 * looks)

        return self._call("look", act, key=key)

    def send(self, job_id: str, page: int) -> None:
        """Store one page of a transfer; a second one replaces the first."""

        def act() -> None:
            self.pages.setdefault(job_id, {})[page] = page

        self._call("send", act)

    # -- inside -----------------------------------------------------------------------------------------

    def _call(self, name: str, act: Callable[[], T], *, effect: bool = False, key: str = "") -> T:
        trouble = self.plan.next_call()
        lost = (OutcomeUnknown if effect else VendorUnavailable)("simulated", name, "the answer was lost")
        if trouble.startswith("lands late") and effect:
            self._late.append(Late(self._clock.seconds + 0.9 * IN_FLIGHT, act))
        if trouble in {"duplicate", "usurped before", "cancelled", "dispatched"}:
            self._meanwhile(trouble)
        if trouble == "vendor job fails" and key:
            self.failed.add(key)
        if trouble in UNSENT:
            raise UNSENT[trouble](name)
        if effect:
            before_effect.get()()
        self._raise_if(trouble, BEFORE, name, lost)
        result = act()
        if trouble == "usurped after":
            self._meanwhile(trouble)
        if trouble == "slow":
            self._clock.advance(IN_FLIGHT + 10)
        self._raise_if(trouble, AFTER, name, lost)
        return result

    def _raise_if(self, trouble: str, errors: Mapping[str, Trouble], name: str, lost: Exception) -> None:
        if trouble in errors:
            raise errors[trouble](name) or lost


Trouble = Callable[[str], BaseException | None]

#: What is raised after the request was sent and before its effect, before it was sent, and after the effect; None stands
#: for a lost answer.
BEFORE: Mapping[str, Trouble] = {
    "down": lambda name: VendorUnavailable("simulated", name, "cannot be reached"),
    "busy": lambda name: RateLimited("simulated", name, "too many calls", status=429, retry_after=3.0),
    "refused": lambda name: Rejected("simulated", name, "refused", status=400),
    "credentials": lambda name: AuthenticationError("simulated", name, "refused", status=401),
    "lost before": lambda name: None,
    "crash before": lambda name: Crash(),
    "lands late, answer lost": lambda name: None,
    "lands late, crash": lambda name: Crash(),
}
UNSENT: Mapping[str, Callable[[str], Exception]] = {
    "rate_limit": lambda name: RateLimited("simulated", name, "our own budget is used up", retry_after=2.0),
    "circuit": lambda name: CircuitOpenError("simulated", name, "not called", retry_after=2.0),
}
AFTER: Mapping[str, Trouble] = {
    "lost after": lambda name: None,
    "crash after": lambda name: Crash(),
    "defect after": lambda name: ZeroDivisionError(),
}

CALL_TROUBLE = (
    *UNSENT,
    *BEFORE,
    *AFTER,
    "slow",
    "vendor job fails",
    "duplicate",
    "usurped before",
    "usurped after",
    "cancelled",
    "dispatched",
)

KINDS = ("named", "labelled", "keyless", "counted", "paged", "all")


def play(kind: str, run: Run, vendor: Vendor) -> dict[str, Any]:
    """Run a job of one kind of effect, or of all; return what it reports to have done."""
    parts = [part for part in PARTS if kind in {part, "all"}]
    return {part: PARTS[part](run, vendor) for part in parts}


def _key(run: Run, step: str) -> str:
    return f"{run.job_id}/{run.generation(step)}"


def _named(run: Run, vendor: Vendor) -> Any:
    key = _key(run, "create")
    once_by_unique_name(
        run,
        "create",
        lambda: vendor.create("named", key, refuse_seconds=True),
        lambda: vendor.find("named", key) is not None,
    )
    return run.poll("finish", lambda: vendor.look(f"named {key}"), redo=["create"])


def _labelled(run: Run, vendor: Vendor) -> Any:
    key = _key(run, "label")
    found = run.once(
        "label", lambda: vendor.create("labelled", key), recover=lambda: vendor.find("labelled", key)
    )
    return found["key"]


def _keyless(run: Run, vendor: Vendor) -> Any:
    key = _key(run, "start")
    run.once("start", lambda: vendor.create("keyless", key))
    return run.poll("ready", lambda: vendor.look(f"keyless {key}"), redo=["start"])


def _counted(run: Run, vendor: Vendor) -> Any:
    key = _key(run, "add")
    before = run.once("count", lambda: {"n": vendor.tally(run.job_id)}, recover=repeatable)["n"]

    def grown() -> dict[str, str] | None:
        by = vendor.tally(run.job_id) - before
        if by not in {0, ADDED}:
            raise Undecided(f"grown by {by}")
        return {"key": key} if by else None

    return run.once("add", lambda: vendor.create("counted", key), recover=grown)["key"]


def _paged(run: Run, vendor: Vendor) -> Any:
    def work(checkpoint: Any) -> Generator[dict[str, int]]:
        for page in range(checkpoint["done"] if checkpoint else 0, PAGES):
            vendor.send(run.job_id, page)
            yield {"done": page + 1}

    return run.transfer("send", work, kind="upload", total=PAGES)["done"]


PARTS: dict[str, Callable[[Run, Vendor], Any]] = {
    "paged": _paged,
    "counted": _counted,
    "labelled": _labelled,
    "named": _named,
    "keyless": _keyless,
}


@dataclass
class Message:
    """A message of the broker: a command's body, or a turn."""

    queue: str
    body: bytes | None
    job_id: str
    turn: int


@dataclass
class Broker:
    """Queues in memory. Publishing may be cut off by a crash, or overtaken by a quick worker."""

    pending: list[Message] = field(default_factory=list)
    published: list[StoredEvent] = field(default_factory=list)
    is_volatile: bool = False
    between: Callable[[], None] = lambda: None

    def publish_turns(self, turns: list[DueTurn]) -> None:
        self.pending += [Message(due.queue, None, due.job_id, due.turn) for due in turns]
        self.between()

    def publish_events(self, events: list[StoredEvent]) -> None:
        self.published += events
        self.between()

    def queue_depth(self, queue: str) -> int:
        return sum(message.queue == queue for message in self.pending)

    def unacked(self, _: float) -> list[tuple[str, int]]:
        return []
