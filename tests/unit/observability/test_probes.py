"""Probes of a worker whose servers are killed, hang and come back; and what they make of stuck threads."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.testbed.postgres import Postgres
from tests.testbed.rabbitmq import RabbitMQ
from tests.testbed.server import listening
from workers.engine.worker import Worker
from workers.ledger.database import Database
from workers.observability.health import CONSUMER_STUCK, DISPATCHER_STUCK, AtWork, Health
from workers.observability.heartbeat import Pulse
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


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A worker's health with a clock that is set by hand, everything well."""

    def __init__(self, threads: int = 2) -> None:
        self.clock = Clock()
        self.ledger, self.broker = Pulse(5, self.clock), Pulse(5, self.clock)
        self.dispatcher = Pulse(DISPATCHER_STUCK, self.clock)
        self.consumer = Pulse(CONSUMER_STUCK, self.clock)
        self.at_work = AtWork(threads, self.clock)
        self.runs = {"consumer": True}
        self.up = True
        self.health = Health(
            {"ledger": self.ledger, "broker": self.broker}, lambda: self.up, self.dispatcher, self.consumer,
            self.at_work, 450.0, threads=lambda: self.runs,
        )  # fmt: skip
        self.after(0)

    def after(self, seconds: float, *still: Pulse) -> None:
        """Time goes by, second by second; these beat on, by default all."""
        beating = still or (self.ledger, self.broker, self.dispatcher, self.consumer)
        for _ in range(int(seconds) + 1):
            for pulse in beating:
                pulse.beat()
            self.clock.now += 1


def test_ready_means_that_both_answer() -> None:
    rig = Rig()
    assert rig.health.missing() == []
    rig.after(10, rig.ledger, rig.dispatcher)
    assert rig.health.missing() == ["broker"]
    rig.ledger.stop()
    assert rig.health.missing() == ["broker", "ledger"]
    rig.after(0)
    rig.up = False
    assert rig.health.missing() == ["broker"]
    assert rig.health.stuck() == []


def test_a_dispatcher_is_stuck_when_it_hangs_though_both_are_there() -> None:
    rig = Rig()
    rig.after(DISPATCHER_STUCK - 5, rig.ledger, rig.broker, rig.consumer)
    assert rig.health.stuck() == []
    rig.after(10, rig.ledger, rig.broker, rig.consumer)
    assert rig.health.stuck() == ["dispatcher"]
    rig.after(0)
    assert rig.health.stuck() == []


@pytest.mark.parametrize("away", ["ledger", "broker"])
def test_what_waits_for_a_server_is_not_stuck(away: str) -> None:
    """Not while it is away, however long, and not until it has had its time when it is back."""
    rig = Rig(threads=1)
    there = rig.broker if away == "ledger" else rig.ledger
    with rig.at_work.turn():
        rig.after(10_000, there, rig.consumer)
        assert rig.health.stuck() == []
        rig.after(DISPATCHER_STUCK - 5, rig.ledger, rig.broker, rig.consumer)
        assert rig.health.stuck() == []
        rig.after(10, rig.ledger, rig.broker, rig.consumer)
        assert rig.health.stuck() == ["dispatcher"]
        rig.after(450)
        assert rig.health.stuck() == ["turns"]


def test_a_consumer_that_does_not_come_round_is_stuck_whoever_is_away() -> None:
    rig = Rig()
    rig.after(CONSUMER_STUCK + 1, rig.dispatcher)
    assert rig.health.stuck() == ["consumer"]


def test_dead_threads_are_told() -> None:
    rig = Rig()
    rig.runs["consumer"] = False
    assert rig.health.stuck() == ["consumer"]


def test_turns_are_stuck_when_no_thread_is_free_for_long() -> None:
    rig = Rig(threads=2)
    with rig.at_work.turn():
        rig.after(500)
        assert rig.health.stuck() == []
        done = threading.Event()
        began = threading.Event()

        def other() -> None:
            with rig.at_work.turn():
                began.set()
                done.wait()

        thread = threading.Thread(target=other)
        thread.start()
        began.wait()
        rig.after(400)
        assert rig.health.stuck() == []
        rig.after(60)
        assert rig.health.stuck() == ["turns"]
        done.set()
        thread.join()
        assert rig.health.stuck() == []


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
    rig = Rig()
    probes = Probes(HttpSettings(port=0), rig.health)
    probes.start()
    with socket.create_connection(("127.0.0.1", probes.port)):
        assert httpx.get(f"http://127.0.0.1:{probes.port}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{probes.port}/nothing", trust_env=False).status_code == 404
    probes.stop()
