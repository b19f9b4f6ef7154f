"""Probes of a worker whose servers are killed, hang and come back; and what they make of stuck threads."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.clock import Clock
from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from tests.testbed.server import listening
from workers.broker.consumer import CONSUMER_STUCK_SECONDS
from workers.engine.dispatcher import DISPATCHER_STUCK_SECONDS
from workers.engine.worker import Worker
from workers.ledger.database import Database
from workers.observability.health import ActiveTurns, Health
from workers.observability.heartbeat import Heartbeat
from workers.observability.probes import Probes
from workers.settings import HttpSettings, load

#: Seconds within which a probe must notice.
NOTICED = 10.0


class Probed:
    """A worker with probes, and how long they took to tell."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.probes = Probes(HttpSettings(port=0), worker.health, [worker.watch])
        self.slowest = 0.0
        worker.start()
        self.probes.start()

    def get(self, path: str) -> httpx.Response:
        began = time.monotonic()
        answer = httpx.get(f"http://127.0.0.1:{self.probes.port}/{path}", timeout=5, trust_env=False)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return answer

    def becomes(self, down: list[str], seconds: float = NOTICED) -> float:
        """Seconds until `/readyz` says that these are down; `/livez` never minds."""
        began = time.monotonic()
        while (answer := self.get("readyz").json()["down"]) != down:
            assert self.get("livez").status_code == 200
            assert time.monotonic() - began < seconds, answer
            time.sleep(0.05)
        assert self.get("livez").status_code == 200
        return time.monotonic() - began

    def close(self) -> None:
        self.probes.stop()
        self.worker.stop()


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    made = Postgres()
    made.start()
    yield made
    made.close()


@pytest.fixture
def probed(
    cluster: Postgres, frail_rabbitmq: RabbitMQ, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> Iterator[Probed]:
    url = cluster.fresh_url()
    database = Database(url)
    database.upgrade()
    database.close()
    made = Probed(Worker(load(broker_url=frail_rabbitmq.url, ledger_url=url, _env_file=None)))
    yield made
    made.close()


def test_servers_that_hang_die_and_return(
    probed: Probed,
    cluster: Postgres,
    frail_rabbitmq: RabbitMQ,
    record_property: Callable[[str, object], None],
) -> None:
    """Noticed within ten seconds, and never a reason to be restarted; no probe waits for anything."""
    probed.becomes([], 30)
    assert probed.get("metrics").text.count("# HELP kyb_") > 20
    took = {}
    cluster.freeze()
    frail_rabbitmq.freeze()
    took["hung"] = probed.becomes(["broker", "ledger"])
    assert probed.get("metrics").status_code == 200
    cluster.thaw()
    frail_rabbitmq.thaw()
    took["thawed"] = probed.becomes([])
    cluster.kill()
    frail_rabbitmq.kill()
    took["killed"] = probed.becomes(["broker", "ledger"])
    cluster.start()
    frail_rabbitmq.start()
    assert listening(frail_rabbitmq.port)
    took["back"] = probed.becomes([])
    cluster.stop()
    took["stopped"] = probed.becomes(["ledger"])
    cluster.start()
    assert probed.slowest < 1.0 * max(os.getloadavg()[0], 1.0)
    record_property("summary", f"/readyz noticed: {', '.join(f'{k} {v:.1f} s' for k, v in took.items())}")


class Rig:
    """A worker's health with a clock that is set by hand, everything well."""

    def __init__(self, threads: int = 2) -> None:
        self.clock = Clock(1_000.0)
        self.ledger, self.broker = Heartbeat(5, self.clock), Heartbeat(5, self.clock)
        self.dispatcher = Heartbeat(DISPATCHER_STUCK_SECONDS, self.clock)
        self.consumer = Heartbeat(CONSUMER_STUCK_SECONDS, self.clock)
        self.at_work = ActiveTurns(threads, self.clock)
        self.runs = {"consumer": True}
        self.up = True
        self.health = Health(
            {"ledger": self.ledger, "broker": self.broker}, lambda: self.up, self.dispatcher, self.consumer,
            self.at_work, 450.0, threads=lambda: self.runs,
        )  # fmt: skip
        self.after(0)

    def after(self, seconds: float, *still: Heartbeat) -> None:
        """Time goes by, second by second; these beat on, by default all."""
        beating = still or (self.ledger, self.broker, self.dispatcher, self.consumer)
        for _ in range(int(seconds) + 1):
            for pulse in beating:
                pulse.beat()
            self.clock.now += 1


def test_ready_means_that_both_answer() -> None:
    recorder = Rig()
    assert recorder.health.missing() == []
    recorder.after(10, recorder.ledger, recorder.dispatcher)
    assert recorder.health.missing() == ["broker"]
    recorder.ledger.stop()
    assert recorder.health.missing() == ["broker", "ledger"]
    recorder.after(0)
    recorder.up = False
    assert recorder.health.missing() == ["broker"]
    assert recorder.health.stuck() == []


def test_a_dispatcher_is_stuck_when_it_hangs_though_both_are_there() -> None:
    recorder = Rig()
    recorder.after(DISPATCHER_STUCK_SECONDS - 5, recorder.ledger, recorder.broker, recorder.consumer)
    assert recorder.health.stuck() == []
    recorder.after(10, recorder.ledger, recorder.broker, recorder.consumer)
    assert recorder.health.stuck() == ["dispatcher"]
    recorder.after(0)
    assert recorder.health.stuck() == []


@pytest.mark.parametrize("away", ["ledger", "broker"])
def test_what_waits_for_a_server_is_not_stuck(away: str) -> None:
    """Not while it is away, however long, and not until it has had its time when it is back."""
    recorder = Rig(threads=1)
    there = recorder.broker if away == "ledger" else recorder.ledger
    with recorder.at_work.turn():
        recorder.after(10_000, there, recorder.consumer)
        assert recorder.health.stuck() == []
        recorder.after(DISPATCHER_STUCK_SECONDS - 5, recorder.ledger, recorder.broker, recorder.consumer)
        assert recorder.health.stuck() == []
        recorder.after(10, recorder.ledger, recorder.broker, recorder.consumer)
        assert recorder.health.stuck() == ["dispatcher"]
        recorder.after(450)
        assert recorder.health.stuck() == ["turns"]


def test_a_consumer_that_does_not_come_round_is_stuck_whoever_is_away() -> None:
    recorder = Rig()
    recorder.after(CONSUMER_STUCK_SECONDS + 1, recorder.dispatcher)
    assert recorder.health.stuck() == ["consumer"]


def test_dead_threads_are_told() -> None:
    recorder = Rig()
    recorder.runs["consumer"] = False
    assert recorder.health.stuck() == ["consumer"]


def test_turns_are_stuck_when_no_thread_is_free_for_long() -> None:
    recorder = Rig(threads=2)
    with recorder.at_work.turn():
        recorder.after(500)
        assert recorder.health.stuck() == []
        done = threading.Event()
        began = threading.Event()

        def other() -> None:
            with recorder.at_work.turn():
                began.set()
                done.wait()

        thread = threading.Thread(target=other)
        thread.start()
        began.wait()
        recorder.after(400)
        assert recorder.health.stuck() == []
        recorder.after(60)
        assert recorder.health.stuck() == ["turns"]
        done.set()
        thread.join()
        assert recorder.health.stuck() == []


def test_a_worker_whose_consumer_dies_says_so(
    amqp_url: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead for a reason that nobody foresaw: the process would live on and take nothing."""
    database = Database(sqlite_url)
    database.upgrade()
    database.close()
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    probed = Probed(Worker(load(broker_url=amqp_url, ledger_url=sqlite_url, _env_file=None)))
    try:
        probed.becomes([], 30)
        link = probed.worker.broker.link  # type: ignore[union-attr]
        monkeypatch.setattr(link, "_ask", lambda: (_ for _ in ()).throw(RuntimeError("unforeseen")))
        link._thread.join(20)
        answer = probed.get("livez")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not alive", "stuck": ["consumer"]}
    finally:
        probed.close()


def test_a_caller_that_says_nothing_holds_nobody_up() -> None:
    recorder = Rig()
    probes = Probes(HttpSettings(port=0), recorder.health)
    probes.start()
    with socket.create_connection(("127.0.0.1", probes.port)):
        assert httpx.get(f"http://127.0.0.1:{probes.port}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{probes.port}/nothing", trust_env=False).status_code == 404
    probes.stop()
