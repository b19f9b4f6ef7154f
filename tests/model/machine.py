"""The turn protocol as a state machine: in any order of events, no job is lost and no effect happens twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import text

from messages.data8 import StartJob, StartJobResult
from messages.events import Outcome, Status
from tests.model.simulated import (
    CALL_TROUBLE,
    COMMIT_TROUBLE,
    IN_FLIGHT,
    KINDS,
    PAGES,
    Broker,
    Clock,
    Crash,
    Message,
    Plan,
    SimulatedDatabase,
    Vendor,
    play,
)
from tests.support.turn_harness import COMMAND, command
from workers.engine.context import Run
from workers.engine.dispatcher import LOST_AFTER_SECONDS, Dispatcher
from workers.engine.registry import Services
from workers.engine.run_limits import RunLimits
from workers.engine.turns import Turns
from workers.errors import Reject
from workers.files.storage import Storage
from workers.jobs.catalogue import JOBS
from workers.ledger.database import LedgerUnavailable
from workers.ledger.ledger import Ledger
from workers.ledger.records import Job
from workers.ledger.schema import event, job, step
from workers.rate_limits.poll_scheduler import PollScheduler

QUEUES = ("kyb.control", "kyb.data8")
DEADLINE = 3_600.0
LIMITS = RunLimits(
    min_delay=1.0, max_delay=60.0, stall_timeout=1_800.0, time_slice=15.0, effect_settle_seconds=IN_FLIGHT
)
#: Rounds of all workers within which the repaired system must come to rest.
ROUNDS = 60
SUBJECTS = ("a", "b", "c")

#: Of these, faults are drawn most often.
plans = st.sampled_from(
    [
        Plan(),
        Plan(stopping=True),
        *[Plan(call=n, trouble=trouble) for trouble in CALL_TROUBLE for n in (0, 1, 0)],
        *[Plan(commit=n, breaks=breaks, stopping=n % 3 == 2) for breaks in COMMIT_TROUBLE for n in range(7)],
    ]
)


class TurnProtocol(RuleBasedStateMachine):
    """Commands, turns, workers that die, a broker that loses and repeats, a vendor that fails.

    The subclass that a test makes has a migrated ledger as `database`, and its `clock`.
    """

    database: SimulatedDatabase
    clock: Clock
    folder: str

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as connection:
            for table in (event, step, job):
                connection.execute(table.delete())
        self.ledger = Ledger(self.database)
        self.broker = Broker()
        self.vendor = Vendor(self.clock, self.meanwhile)
        self.clock.passing = self.vendor.land
        self.dispatcher = Dispatcher(
            self.ledger.dispatch,
            self.broker,  # type: ignore[arg-type]
            QUEUES,
            PollScheduler(self.ledger.dispatch, {}),
        )
        self.dispatcher._last_requeue = float("inf")  # a rule of its own requeues lost turns
        self.stopping = False
        storage = Storage([self.folder], f"{self.folder}/results")
        self.turns = Turns(
            self.ledger.jobs,
            {**JOBS, COMMAND: self.job_function},
            Services(storage, self.ledger, DEADLINE),
            LIMITS,
            DEADLINE,
            lambda: self.stopping,
        )
        self.now_working: list[Message] = []
        self.old: list[Message] = []
        self.repeats: dict[str, int] = {}
        self.controls = 0
        self.ended: dict[str, tuple[int, dict[str, Any]]] = {}
        self.published: dict[str, str] = {}
        self.read = 0
        self.sequences: dict[str, int] = {}
        self.finals: dict[str, list[int]] = {}

    def job_function(self, asked: StartJob, run: Run, _services: Services) -> StartJobResult:
        done = play(asked.workflow, run, self.vendor)
        return StartJobResult(job_name=run.job_id, statistics=done, outputs={}, output_filenames={})

    # -- what may happen --------------------------------------------------------------------------------

    @initialize(kinds=st.tuples(*[st.sampled_from(KINDS)] * len(SUBJECTS)))
    def commands_are_published(self, kinds: tuple[str, ...]) -> None:
        self.kinds = dict(zip(SUBJECTS, kinds, strict=True))
        for subject, kind in self.kinds.items():
            self.publish(subject, command(subject, workflow=kind))

    @rule(subject=st.sampled_from(SUBJECTS), other=st.sampled_from([False, False, False, True]))
    def command_is_published_again(self, subject: str, other: bool) -> None:
        """`other`: with the same id and other data."""
        more = {"input_filename": "another.csv"} if other else {}
        self.publish(subject, command(subject, workflow=self.kinds[subject], **more))

    @precondition(lambda self: self.broker.pending)
    @rule(plan=plans)
    def oldest_message_is_delivered(self, plan: Plan) -> None:
        self.deliver(self.broker.pending[0], plan)

    @precondition(lambda self: self.broker.pending)
    @rule(which=st.integers(0, 5), plan=plans, stays=st.booleans())
    def any_message_is_delivered(self, which: int, plan: Plan, stays: bool) -> None:
        """`stays`: it is delivered a second time."""
        self.deliver(self.broker.pending[which % len(self.broker.pending)], plan, stays=stays)

    @rule(seconds=st.sampled_from([61.0, 1.0, 0.0]), plan=plans, everywhere=st.booleans())
    def turns_are_handed_out_and_taken(self, seconds: float, plan: Plan, everywhere: bool) -> None:
        """The usual course of a job, with one fault, or one in each turn."""
        self.clock.advance(seconds)
        self.dispatch()
        pending = list(self.broker.pending)
        for message in pending:
            self.deliver(message, plan if everywhere or message is pending[0] else None)

    @precondition(lambda self: self.old)
    @rule(which=st.integers(0, 50), plan=plans)
    def old_message_comes_again(self, which: int, plan: Plan) -> None:
        message = self.old[which % len(self.old)]
        before = self.ledger.queries.job(message.job_id)
        self.work(message, plan)
        if before is not None and (before.turn != message.turn or before.status.ended):
            assert self.ledger.queries.job(message.job_id) == before, "an old message has changed something"

    @rule(plan=plans, between=st.sampled_from(["", "", "crash", "quick worker", "quick crash"]))
    def dispatcher_works(self, plan: Plan, between: str) -> None:
        """`between`: what happens between publishing the turn and marking it as dispatched."""
        self.dispatch(plan, between)

    @rule(seconds=st.sampled_from([6.0, LOST_AFTER_SECONDS + 1, IN_FLIGHT - 10, 100.0, DEADLINE / 2]))
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(lost=st.sampled_from(["", "", "one", "all"]), which=st.integers(0, 5))
    def messages_are_lost_and_lost_turns_requeued(self, lost: str, which: int) -> None:
        if lost == "one" and self.broker.pending:
            del self.broker.pending[which % len(self.broker.pending)]
        if lost == "all":
            self.broker.pending.clear()
        self.dispatcher._requeue_lost_turns()

    @rule(subject=st.sampled_from(SUBJECTS), what=st.sampled_from(["retry", "retry and repeat", "cancel"]))
    def somebody_intervenes(self, subject: str, what: str) -> None:
        """A command about a job in its current state; others are tested in `tests/unit/engine`."""
        found = self.ledger.queries.job(subject)
        if found is None or found.status.ended == (what == "cancel"):
            return
        if what == "cancel":
            self.control("job.cancel", subject)
            return
        repeat = what == "retry and repeat"
        self.repeats[subject] = self.repeats.get(subject, 0) + repeat
        self.control("job.retry", subject, repeat_effect=repeat)

    # -- how it happens ---------------------------------------------------------------------------------

    def publish(self, id_: str, body: bytes) -> None:
        type_ = json.loads(body)["type"]
        queue = "kyb.control" if type_.startswith("job.") else "kyb.data8"
        self.broker.pending.append(Message(queue, body, id_, 1))

    def control(self, type_: str, subject: str, **data: Any) -> None:
        self.controls += 1
        id_ = f"{type_}.{self.controls}"
        self.publish(id_, command(id_, type_, job_id=subject, **data))

    def deliver(self, message: Message, plan: Plan | None = None, *, stays: bool = False) -> None:
        """A worker takes a message, which leaves the queue when the worker has settled it."""
        done = self.work(message, plan or Plan())
        if done and not stays:
            self.broker.pending = [each for each in self.broker.pending if each is not message]
            self.old.append(message)

    def work(self, message: Message, plan: Plan) -> bool:
        """Whether the message is settled: acknowledged, or dead-lettered."""
        before = self.database.plan, self.vendor.plan, self.stopping
        self.database.plan = self.vendor.plan = replace(plan)
        self.stopping = plan.stopping
        self.now_working.append(message)
        try:
            if message.body is not None:
                self.turns.receive_command(message.body, message.queue)
            else:
                self.turns.run_turn(message.job_id, message.turn)
        except Reject:
            return True
        except (LedgerUnavailable, Crash):
            return False
        else:
            return True
        finally:
            self.now_working.pop()
            self.database.plan, self.vendor.plan, self.stopping = before

    def dispatch(self, plan: Plan | None = None, between: str = "") -> None:
        def interrupt() -> None:
            if between == "crash":
                raise Crash
            if between in {"quick worker", "quick crash"}:
                trouble = Plan(call=0, trouble="crash after") if between == "quick crash" else Plan()
                for message in list(self.broker.pending):
                    self.deliver(message, trouble)

        self.broker.between = interrupt
        self.database.plan = replace(plan or Plan())
        try:
            with self.database.connect() as connection:
                self.dispatcher._tick(connection.execution_options(kyb_read=True))
        except (Crash, LedgerUnavailable):
            pass  # it stands by again, or another process does
        finally:
            self.database.plan = Plan()
            self.broker.between = lambda: None

    def meanwhile(self, what: str) -> None:
        """Something else happens while a worker waits for the vendor."""
        message = self.now_working[-1]
        if len(self.now_working) > 1:
            return
        match what:
            case "duplicate":
                self.work(message, Plan())
            case "usurped before" | "usurped after":
                self.lose_locks()
                found = self.ledger.queries.job(message.job_id)
                assert found is not None
                self.work(Message(message.queue, None, found.id, found.turn), Plan())
            case "cancelled":
                self.ledger.jobs.cancel(message.job_id)
            case "dispatched":
                self.dispatch()

    def lose_locks(self) -> None:
        """A worker survives, but its connection to the ledger breaks, and with it the lock."""
        if self.database.sqlite:
            self.ledger.jobs._locks._held.clear()  # type: ignore[attr-defined]
            return
        with self.database.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks JOIN pg_database ON oid = database"
                    " WHERE locktype = 'advisory' AND datname = current_database()"
                )
            )

    # -- what must always be true -----------------------------------------------------------------------

    @invariant()
    def no_effect_is_done_twice(self) -> None:
        doubled = {key: n for key, n in self.vendor.done.items() if n > 1}
        assert not doubled, f"done more than once: {doubled}"

    @invariant()
    def nothing_is_repeated_without_a_word(self) -> None:
        """An effect has no more generations than a person or the vendor's own failure gave reason for."""
        for subject in SUBJECTS:
            repeats = self.repeats.get(subject, 0)
            for kind in ("keyless", "named", "counted", "labelled"):
                failures = sum(key.startswith(f"{kind} {subject}/") for key in self.vendor.failed)
                happened = self.vendor.count(kind, subject)
                assert happened <= 1 + repeats + failures, f"{kind} of {subject} happened {happened} times"

    @invariant()
    def what_has_ended_stays(self) -> None:
        for found in self.all_jobs():
            state = dict(vars(found))
            if not found.status.ended:
                continue
            attempt, before = self.ended.get(found.id, (0, state))
            if attempt == found.attempt:
                assert before == state, f"{found.id} has changed after its end"
            self.ended[found.id] = (found.attempt, state)

    @invariant()
    def each_ending_is_published_once_and_last(self) -> None:
        for stored in self.ledger.queries.events(after=self.read, limit=100_000):
            self.read = stored.number
            if stored.id in self.published:  # published again for a repeated command
                assert stored.body == self.published[stored.id]
                continue
            self.published[stored.id] = stored.body
            body = json.loads(stored.body)
            if "sequence" not in body:
                continue
            sequence = int(body["sequence"])
            assert sequence == self.sequences.get(body["subject"], 0) + 1
            self.sequences[body["subject"]] = sequence
            if Outcome(stored.type.rpartition(".")[2]).final:
                self.finals.setdefault(body["subject"], []).append(sequence)
        for found in self.all_jobs():
            finals = self.finals.get(found.id, [])
            assert self.sequences[found.id] == found.sequence
            assert len(finals) == found.attempt - (not found.status.ended)
            assert not found.status.ended or finals[-1] == found.sequence

    @invariant()
    def nothing_is_lost(self) -> None:
        """A job that has not ended is due, or is in a message, or the dispatcher requeues it."""
        coming = {(message.job_id, message.turn) for message in self.broker.pending}
        astray = [
            found.id
            for found in self.all_jobs()
            if not found.status.ended and found.due_at is None and (found.id, found.turn) not in coming
        ]
        if not astray:
            return
        clock = self.clock.seconds
        self.clock.seconds += 2 * LOST_AFTER_SECONDS
        with self.database.engine.connect() as connection:
            for queue in QUEUES:
                self.ledger.dispatch.requeue_lost(connection, queue, LOST_AFTER_SECONDS, empty=True)
            due = {due.job_id for due in self.ledger.dispatch.due(connection, 1_000)[0]}
            connection.rollback()
        self.clock.seconds = clock
        assert due.issuperset(astray), f"nobody will ever go on with {set(astray) - due}"

    # -- the end ----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """All faults are repaired: every job ends, then every job completes, and every event is published."""
        self.come_to_rest()
        for attempt in range(4):
            for found in self.all_jobs():
                if found.id in SUBJECTS and found.status in {Status.FAILED, Status.CANCELLED}:
                    self.repeats[found.id] = self.repeats.get(found.id, 0) + 1
                    self.ledger.jobs.retry(found.id, f"mended {attempt}", DEADLINE, repeat_effect=True)
            self.come_to_rest()
        for found in self.all_jobs():
            if found.id in SUBJECTS:
                assert found.status is Status.COMPLETED, f"{found.id} does not complete: {found.error}"
                assert found.result is not None
                self.check_result(found.id, found.result["statistics"])
        self.no_effect_is_done_twice()
        self.nothing_is_repeated_without_a_word()
        self.each_ending_is_published_once_and_last()
        self.check_published()

    def come_to_rest(self) -> None:
        for _ in range(ROUNDS):
            self.dispatch()
            for message in list(self.broker.pending):
                self.deliver(message)
            if all(found.status.ended for found in self.all_jobs()):
                self.dispatch()
                return
            self.clock.advance(2 * LOST_AFTER_SECONDS)
            self.dispatcher._requeue_lost_turns()
        left = [found.id for found in self.all_jobs() if not found.status.ended]
        raise AssertionError(f"not ended after {ROUNDS} rounds: {left}")

    def check_result(self, subject: str, done: dict[str, Any]) -> None:
        """Everything that a completed job reports has happened."""
        for kind, answer in done.items():
            if kind == "paged":
                assert answer == PAGES
                assert self.vendor.pages[subject] == {page: page for page in range(PAGES)}
            else:
                key = str(answer).removeprefix(f"{kind} ")
                assert self.vendor.done[kind, key] == 1

    def check_published(self) -> None:
        """Every event was published, first in the order of the job's sequence, always with the same body."""
        first: dict[str, str] = {}
        for stored in self.broker.published:
            assert first.setdefault(stored.id, stored.body) == stored.body
        assert set(first) == set(self.published)
        last: dict[str, int] = {}
        for body in map(json.loads, first.values()):
            if "sequence" in body:
                assert int(body["sequence"]) == last.get(body["subject"], 0) + 1
                last[body["subject"]] = int(body["sequence"])

    def all_jobs(self) -> list[Job]:
        return self.ledger.queries.jobs(limit=1_000)


def machine_on(url: str, folder: str) -> type[TurnProtocol]:
    """A maker of machines that share a ledger, emptied for each."""
    clock = Clock()
    database = SimulatedDatabase(url, clock)
    database.upgrade()
    return type("Machine", (TurnProtocol,), {"database": database, "clock": clock, "folder": folder})
