"""Probes of a worker while its servers hang, die and return, and while its threads are stuck."""

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

#: A probe must notice a change within this time.
NOTICE_SECONDS = 10.0


class Probed:
    """A worker with probes, and the duration of the slowest answer."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.probes = Probes(HttpSettings(port=0), worker.health, [worker.ledger_monitor])
        self.slowest = 0.0
        worker.start()
        self.probes.start()

    def get(self, path: str) -> httpx.Response:
        began = time.monotonic()
        answer = httpx.get(f"http://127.0.0.1:{self.probes.port}/{path}", timeout=5, trust_env=False)
        self.slowest = max(self.slowest, time.monotonic() - began)
        return answer

    def becomes(self, down: list[str], seconds: float = NOTICE_SECONDS) -> float:
        """Return the seconds until `/readyz` reports these as down; `/livez` must always succeed."""
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


@pytest.mark.long
def test_readiness_follows_servers_that_hang_die_and_return(
    probed: Probed,
    cluster: Postgres,
    frail_rabbitmq: RabbitMQ,
    record_property: Callable[[str, object], None],
) -> None:
    """Readiness changes within ten seconds, liveness never, and no probe waits for a server."""
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


class HealthState:
    """A worker's health with a manual clock; at first everything is healthy."""

    def __init__(self, threads: int = 2) -> None:
        self.clock = Clock(1_000.0)
        self.ledger, self.broker = Heartbeat(5, self.clock), Heartbeat(5, self.clock)
        self.dispatcher = Heartbeat(DISPATCHER_STUCK_SECONDS, self.clock)
        self.consumer = Heartbeat(CONSUMER_STUCK_SECONDS, self.clock)
        self.active_turns = ActiveTurns(threads, self.clock)
        self.runs = {"consumer": True}
        self.consuming = True
        self.health = Health(
            {"ledger": self.ledger, "broker": self.broker}, lambda: self.consuming, self.dispatcher, self.consumer,
            self.active_turns, 450.0, threads=lambda: self.runs,
        )  # fmt: skip
        self.after(0)

    def after(self, seconds: float, *still: Heartbeat) -> None:
        """Advance the clock second by second; `still` continue to beat, by default all."""
        beating = still or (self.ledger, self.broker, self.dispatcher, self.consumer)
        for _ in range(int(seconds) + 1):
            for heartbeat in beating:
                heartbeat.beat()
            self.clock.now += 1


def test_readiness_needs_ledger_and_broker() -> None:
    state = HealthState()
    assert state.health.missing() == []
    state.after(10, state.ledger, state.dispatcher)
    assert state.health.missing() == ["broker"]
    state.ledger.stop()
    assert state.health.missing() == ["broker", "ledger"]
    state.after(0)
    state.consuming = False
    assert state.health.missing() == ["broker"]
    assert state.health.stuck() == []


def test_dispatcher_is_stuck_when_it_hangs_while_both_servers_answer() -> None:
    state = HealthState()
    state.after(DISPATCHER_STUCK_SECONDS - 5, state.ledger, state.broker, state.consumer)
    assert state.health.stuck() == []
    state.after(10, state.ledger, state.broker, state.consumer)
    assert state.health.stuck() == ["dispatcher"]
    state.after(0)
    assert state.health.stuck() == []


@pytest.mark.parametrize("unavailable", ["ledger", "broker"])
def test_threads_are_not_stuck_while_a_server_is_unavailable(unavailable: str) -> None:
    state = HealthState(threads=1)
    available = state.broker if unavailable == "ledger" else state.ledger
    with state.active_turns.turn():
        state.after(10_000, available, state.consumer)
        assert state.health.stuck() == []
        state.after(DISPATCHER_STUCK_SECONDS - 5, state.ledger, state.broker, state.consumer)
        assert state.health.stuck() == []
        state.after(10, state.ledger, state.broker, state.consumer)
        assert state.health.stuck() == ["dispatcher"]
        state.after(450)
        assert state.health.stuck() == ["turns"]


def test_consumer_is_stuck_when_it_hangs_whichever_server_is_unavailable() -> None:
    state = HealthState()
    state.after(CONSUMER_STUCK_SECONDS + 1, state.dispatcher)
    assert state.health.stuck() == ["consumer"]


def test_liveness_names_a_dead_thread() -> None:
    state = HealthState()
    state.runs["consumer"] = False
    assert state.health.stuck() == ["consumer"]


def test_turns_are_stuck_when_no_thread_is_free_for_long() -> None:
    state = HealthState(threads=2)
    with state.active_turns.turn():
        state.after(500)
        assert state.health.stuck() == []
        done = threading.Event()
        began = threading.Event()

        def other() -> None:
            with state.active_turns.turn():
                began.set()
                done.wait()

        thread = threading.Thread(target=other)
        thread.start()
        began.wait()
        state.after(400)
        assert state.health.stuck() == []
        state.after(60)
        assert state.health.stuck() == ["turns"]
        done.set()
        thread.join()
        assert state.health.stuck() == []


def test_liveness_fails_when_the_consumer_thread_dies(
    amqp_url: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process would live on without consuming."""
    database = Database(sqlite_url)
    database.upgrade()
    database.close()
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    probed = Probed(Worker(load(broker_url=amqp_url, ledger_url=sqlite_url, _env_file=None)))
    try:
        probed.becomes([], 30)
        link = probed.worker.broker.link  # type: ignore[union-attr]
        monkeypatch.setattr(link, "_ping", lambda: (_ for _ in ()).throw(RuntimeError("unexpected")))
        link._thread.join(20)
        answer = probed.get("livez")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not alive", "stuck": ["consumer"]}
    finally:
        probed.close()


def test_probes_answer_while_another_connection_is_silent() -> None:
    state = HealthState()
    probes = Probes(HttpSettings(port=0), state.health)
    probes.start()
    with socket.create_connection(("127.0.0.1", probes.port)):
        assert httpx.get(f"http://127.0.0.1:{probes.port}/readyz", trust_env=False).status_code == 200
        assert httpx.get(f"http://127.0.0.1:{probes.port}/nothing", trust_env=False).status_code == 404
    probes.stop()
