"""The disturbances: one small function each."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pika

from sandbox.core import Fault
from tests.chaos.installation import POISON, Installation
from tests.chaos.trial import Disturbance, Situation
from tests.chaos.versions import next_version, upgrade
from tests.chaos.work import Task, hopeless, poison
from tests.testbed import faketime
from tests.testbed.rabbitmq import RabbitMQ

#: Effects that a vendor would do twice if it were asked twice.
EFFECTS_WITHOUT_UNIQUE_NAME = (
    "creditsafe.portfolios.create",
    "creditsafe.records.import_file",
    "creditsafe.matching.start",
    "sayari.projects.create",
    "sayari.projects.resolutions.upload",
)


def every(seconds: float, length: float, action: Callable[[int], object]) -> None:
    """Do something again and again."""
    ends = time.monotonic() + length
    number = 0
    while time.monotonic() < ends:
        time.sleep(seconds)
        action(number)
        number += 1


# -- workers --------------------------------------------------------------------------------------------


def worker_killed_every_second(now: Situation) -> None:
    chance = random.Random(1)  # noqa: S311 - no secret

    def kill(_: int) -> None:
        now.installation.workers.kill_one(chance.randrange(2))
        now.again()

    every(1.0, now.length, kill)


def all_workers_killed(now: Situation) -> None:
    time.sleep(2.0)
    now.installation.workers.kill_all()


def all_workers_killed_again_and_again(now: Situation) -> None:
    def kill(_: int) -> None:
        now.installation.workers.kill_all()
        now.again()

    every(2.5, now.length, kill)


def amid_calls(installation: Installation) -> None:
    """Some calls take long, so that whatever is disturbed is disturbed amid uploads, looks and downloads."""
    installation.sandbox.state.faults["*"].append(Fault("slow", times=1_000_000, seconds=0.4, chance=0.15))


def all_workers_terminated(now: Situation) -> None:
    time.sleep(2.0)
    _good_ends(now, now.installation.workers.terminate_all())


def rolling_restart(now: Situation) -> None:
    every(2.0, now.length, lambda _: _good_ends(now, [now.installation.workers.terminate_one(0)]))


def new_version(now: Situation) -> None:
    """The ledger is migrated under workers that know nothing of it, and one after the other is replaced."""
    folder = next_version(now.installation)
    time.sleep(1.0)
    upgrade(now.installation, folder)
    now.installation.workers.code = folder
    for number in (1, 2):
        _good_ends(now, [now.installation.workers.terminate_one(0)])
        deadline = time.monotonic() + 60
        while sum(line.get("version") == "next" for line in now.installation.workers.lines()) < number:
            assert time.monotonic() < deadline, "no worker of the next version has started"
            time.sleep(0.1)  # another process, which tells its log alone


def _good_ends(now: Situation, ends: list[tuple[int, float]]) -> None:
    assert [code for code, _ in ends] == [0] * len(ends), f"exit codes {ends}"
    assert all(seconds < 30 for _, seconds in ends), f"beyond the grace: {ends}"
    now.notes.append(f"ended within {max(seconds for _, seconds in ends):.1f} s")


# -- RabbitMQ -------------------------------------------------------------------------------------------


def rabbitmq_restarted(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.restart()


def rabbitmq_killed(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.kill()
    now.installation.rabbitmq.start()


def rabbitmq_away(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.stop()
    time.sleep(now.length)
    now.installation.rabbitmq.start()


def nodes_killed(now: Situation) -> None:
    """The node that the workers consume from; when it is back, the one that leads their queues; then another."""
    cluster = now.installation.cluster
    time.sleep(1.5)
    first = cluster.used_by("kyb-workers consumer")
    _killed_and_back(now, first)
    second = cluster.leader("kyb.data8")
    _killed_and_back(now, second)
    _killed_and_back(now, next(node for node in cluster.nodes if node not in {first, second}))


def _killed_and_back(now: Situation, node: RabbitMQ) -> None:
    node.kill()
    now.again()
    time.sleep(2.0)
    node.start()


def huge_bodies(now: Situation) -> None:
    """The largest messages that RabbitMQ takes: 128 MiB by default, 16 MiB from version 4 on."""
    old = now.installation.rabbitmq.ctl("version").startswith("3.")
    sizes = [16 << 20] * 4 + [(128 << 20) - 1024] * (2 if old else 0)
    connection = pika.BlockingConnection(pika.URLParameters(now.installation.amqp_url))
    channel = connection.channel()
    channel.confirm_delivery()
    lasting = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    for size in sizes:
        channel.basic_publish("kyb.commands", "data8.start_job", b"[" * size, lasting, mandatory=True)
        now.noise += 1
    connection.close()
    time.sleep(2.0)
    now.notes.append(f"at most {now.installation.workers.peak_memory()} MiB in one worker")


def rabbitmq_out_of_memory(now: Situation) -> None:
    time.sleep(1.0)
    now.installation.rabbitmq.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
    time.sleep(now.length)
    now.installation.rabbitmq.ctl("set_vm_memory_high_watermark", "absolute", "512MB")


def rabbitmq_hung(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.rabbitmq.freeze()
    time.sleep(10.0)
    now.installation.rabbitmq.thaw()


def connections_closed_every_second(now: Situation) -> None:
    every(1.0, now.length, lambda _: now.installation.rabbitmq.close_all_connections())


def rabbitmq_wiped(now: Situation) -> None:
    time.sleep(3.0)
    now.installation.rabbitmq.wipe()


# -- PostgreSQL -----------------------------------------------------------------------------------------


def postgres_restarted(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.postgres.restart()


def postgres_killed(now: Situation) -> None:
    for _ in range(2):
        time.sleep(1.5)
        now.installation.postgres.kill()
        now.installation.postgres.start()
        now.again()


def postgres_away(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.postgres.stop()
    time.sleep(6.0)
    now.installation.postgres.start()


def backends_terminated(now: Situation) -> None:
    every(0.15, now.length, lambda _: now.installation.terminate_backends())


def postgres_read_only(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    now.installation.terminate_backends()
    time.sleep(now.length)
    now.installation.sql("SET transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only",
                  "SELECT pg_reload_conf()")  # fmt: skip
    now.installation.terminate_backends()


def postgres_disk_full(now: Situation) -> None:
    """As an operator would: the disk is full, then somebody makes room, and starts it if it gave up."""
    time.sleep(1.5)
    filler = now.installation.postgres.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65_536)
    time.sleep(now.length)
    filler.unlink()
    refused = now.installation.postgres.output().count("No space left on device")
    assert refused, "the disk was never full"
    now.notes.append(f"disk reported as full {refused} times")
    now.installation.postgres.start_again()


# -- vendors --------------------------------------------------------------------------------------------


def faulty(**fault: Any) -> Callable[[Situation], None]:
    """Calls of all vendors go wrong for a while."""

    def disturb(now: Situation) -> None:
        faults = now.installation.sandbox.state.faults
        time.sleep(1.0)
        faults["*"].append(Fault(times=1_000_000, **fault))
        time.sleep(now.length)
        faults.clear()

    return disturb


def effects_hang(now: Situation) -> None:
    """Half of the calls that create something take effect when their caller has given up."""
    faults = now.installation.sandbox.state.faults
    for operation in EFFECTS_WITHOUT_UNIQUE_NAME:
        faults[operation].append(Fault("slow", times=1_000_000, seconds=3.0, chance=0.5))
    time.sleep(now.length)
    faults.clear()


def links_expired(now: Situation) -> None:
    """No link to a result lives long enough to be followed."""
    state = now.installation.sandbox.state
    usual, state.link_seconds = state.link_seconds, 0.0
    time.sleep(now.length)
    state.link_seconds = usual


def patient(installation: Installation) -> None:
    """Timeouts for which a vendor that hangs for half a minute is still within what is assumed of it."""
    for vendor in ("CREDITSAFE", "DATA8", "SAYARI"):
        installation.settings[f"KYB_{vendor}__TIMEOUT"] = "16"


def impatient(installation: Installation) -> None:
    """A deadline that jobs which never end reach soon."""
    installation.settings["KYB_POLLING__DEADLINE"] = "45s"


def tokens_forgotten(now: Situation) -> None:
    url = f"{now.installation.sandbox.url}/_sandbox/expire-tokens"
    every(1.7, now.length, lambda _: httpx.post(url, trust_env=False).raise_for_status())


# -- duplicates -----------------------------------------------------------------------------------------


def everything_five_times(now: Situation) -> None:
    """Each command five times from as many connections, with other data, and turns that nobody handed out."""
    publishers = [
        threading.Thread(target=_repeat, args=(now.installation.amqp_url, now.tasks)) for _ in range(5)
    ]
    for publisher in publishers:
        publisher.start()
    for publisher in publishers:
        publisher.join()
    other = [_other(task) for task in now.tasks]
    _repeat(now.installation.amqp_url, other)
    now.notes.append(f"{len(other)} more with other data, rejected")


def _other(task: Task) -> Task:
    """A command with the same id, that waits in the same queue: behind the first, so that it is the one to be rejected."""
    match task.type.partition(".")[0]:
        case "creditsafe":
            return Task(task.id, "creditsafe.delete_portfolio", {"portfolio_id": "other"})
        case "data8":
            return Task(task.id, "data8.delete_dataset", {"dataset": "other"})
        case "sayari":
            return Task(task.id, "sayari.collect_changes", {"project_id": "other"})
        case _:
            return Task(task.id, task.type, task.data | {"name": "other"})


def _repeat(url: str, tasks: list[Task]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    lasting = pika.BasicProperties(content_type="application/cloudevents+json", delivery_mode=2)
    for task in tasks:
        channel.basic_publish("kyb.commands", task.type, task.body, lasting)
        for turn in range(1, 6):
            body = json.dumps({"turn": turn, "job_id": task.id, "type": task.type}).encode()
            channel.basic_publish("", f"kyb.{task.type.partition('.')[0]}", body, lasting)
        connection.process_data_events(0)
    connection.close()


def clocks_apart(installation: Installation) -> None:
    """Every second worker is a minute ahead."""
    installation.workers.others = {
        "LD_PRELOAD": faketime.library(), "FAKETIME": "+60s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip


# -- poison, embedded -----------------------------------------------------------------------------------


def with_poison(installation: Installation) -> None:
    """Vendors are slow, so that others are always at work in a process that is killed."""
    installation.preamble = POISON
    installation.sandbox.state.faults["*"].append(Fault("slow", times=1_000_000, seconds=0.4))


def wait_a_moment(now: Situation) -> None:
    time.sleep(1.0)


def embedded_killed(now: Situation) -> None:
    every(1.3, now.length / 2, lambda _: now.installation.workers.kill_all())


#: Seconds in which work must go on after a worker's death, and after a broker's return.
DEATH, RETURN = 5.0, 15.0

DISTURBANCES = [
    Disturbance("a worker killed every second", worker_killed_every_second, answers_lost=True, within=DEATH),
    Disturbance("all workers killed at once", all_workers_killed, answers_lost=True, within=DEATH, quick=True),
    Disturbance(
        "all workers killed repeatedly", all_workers_killed_again_and_again, answers_lost=True, within=DEATH
    ),
    Disturbance("SIGTERM to all workers during calls", all_workers_terminated, amid_calls, within=DEATH, quick=True),
    Disturbance("rolling restart of workers", rolling_restart, amid_calls, within=DEATH),
    Disturbance("rolling restart, new version and ledger", new_version, amid_calls, within=DEATH),
    Disturbance("RabbitMQ restarted", rabbitmq_restarted, within=RETURN),
    Disturbance("RabbitMQ killed", rabbitmq_killed, within=RETURN),
    Disturbance("RabbitMQ unavailable for a minute", rabbitmq_away, length=60.0, within=RETURN),
    Disturbance("RabbitMQ out of memory", rabbitmq_out_of_memory, within=RETURN),
    Disturbance("RabbitMQ hung for 10 s", rabbitmq_hung, within=RETURN),
    Disturbance(
        "all connections closed every second", connections_closed_every_second, within=RETURN, quick=True
    ),
    Disturbance("RabbitMQ loses its data", rabbitmq_wiped, resend=10.0, within=RETURN),
    Disturbance("three nodes, killed one after another", nodes_killed, cluster=True, spread=30.0, within=RETURN),
    Disturbance("message bodies of 16 and 128 MiB", huge_bodies),
    Disturbance("PostgreSQL restarted", postgres_restarted, answers_lost=True),
    Disturbance("PostgreSQL killed twice", postgres_killed, answers_lost=True),
    Disturbance("PostgreSQL unavailable for 6 s", postgres_away, answers_lost=True),
    Disturbance("all backends terminated every 0.15 s", backends_terminated, answers_lost=True, quick=True),
    Disturbance("PostgreSQL read-only", postgres_read_only, answers_lost=True),
    Disturbance("PostgreSQL's disk is full", postgres_disk_full, answers_lost=True, small_disk=True),
    Disturbance("vendors: 5 % of calls answered 500", faulty(kind="status", chance=0.05), answers_lost=True),
    Disturbance("vendors: 20 % of calls answered 429", faulty(kind="status", status=429, retry_after=1, chance=0.2)),
    Disturbance(
        "vendors: 3 % of calls hang for 30 s", faulty(kind="slow", seconds=30, chance=0.03), patient, answers_lost=True
    ),
    Disturbance("vendors: effects happen after the timeout", effects_hang, answers_lost=True),
    Disturbance("vendors: 10 % of answers lost", faulty(kind="lost_after", chance=0.1), answers_lost=True),
    Disturbance("vendors: 10 % of requests lost", faulty(kind="lost_before", chance=0.1), answers_lost=True),
    Disturbance("vendors: tokens revoked every 1.7 s", tokens_forgotten),
    Disturbance("vendors: result links expired", links_expired),
    Disturbance("vendors: unavailable for a minute", faulty(kind="status", status=503, retry_after=1), length=60.0),
    Disturbance("vendors: jobs that fail or never end", wait_a_moment, impatient, besides=hopeless),
    Disturbance("everything published five times", everything_five_times, quick=True),
    Disturbance("clocks one minute apart", worker_killed_every_second, clocks_apart, answers_lost=True),
    Disturbance(
        "two jobs that kill their process", wait_a_moment, with_poison,
        besides=poison(2), at_once=True, answers_lost=True, quick=True,
    ),
    Disturbance(
        "eight jobs that kill their process", wait_a_moment, with_poison,
        besides=poison(8), at_once=True, answers_lost=True,
    ),
    Disturbance(
        "embedded, killed repeatedly", embedded_killed, embedded=True, answers_lost=True, quick=True, within=DEATH
    ),
]  # fmt: skip
