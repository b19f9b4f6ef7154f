"""All disturbances of the chaos trials; each is one small function of a module of this package."""

from __future__ import annotations

from tests.chaos.disturbances import duplicates, postgres, rabbitmq, vendors, workers
from tests.chaos.trial import Disturbance
from tests.chaos.work import hopeless, poison

#: Seconds within which work continues after a worker dies.
WORKER_RECOVERY_SECONDS = 5.0
#: Seconds within which work continues after RabbitMQ is back.
BROKER_RECOVERY_SECONDS = 15.0

DISTURBANCES = [
    Disturbance(
        "a worker killed every second",
        workers.worker_killed_every_second,
        answers_lost=True,
        within=WORKER_RECOVERY_SECONDS,
    ),
    Disturbance(
        "all workers killed at once",
        workers.all_workers_killed,
        answers_lost=True,
        within=WORKER_RECOVERY_SECONDS,
        quick=True,
    ),
    Disturbance(
        "all workers killed repeatedly",
        workers.all_workers_killed_again_and_again,
        answers_lost=True,
        within=WORKER_RECOVERY_SECONDS,
    ),
    Disturbance(
        "SIGTERM to all workers during calls",
        workers.all_workers_terminated,
        workers.slow_some_calls,
        within=WORKER_RECOVERY_SECONDS,
        quick=True,
    ),
    Disturbance(
        "rolling restart of workers",
        workers.rolling_restart,
        workers.slow_some_calls,
        within=WORKER_RECOVERY_SECONDS,
    ),
    Disturbance(
        "rolling restart, new version and ledger",
        workers.new_version,
        workers.slow_some_calls,
        within=WORKER_RECOVERY_SECONDS,
    ),
    Disturbance("RabbitMQ restarted", rabbitmq.restarted, within=BROKER_RECOVERY_SECONDS),
    Disturbance("RabbitMQ killed", rabbitmq.killed, within=BROKER_RECOVERY_SECONDS),
    Disturbance(
        "RabbitMQ unavailable for a minute", rabbitmq.unavailable, length=60.0, within=BROKER_RECOVERY_SECONDS
    ),
    Disturbance("RabbitMQ out of memory", rabbitmq.out_of_memory, within=BROKER_RECOVERY_SECONDS),
    Disturbance("RabbitMQ hung for 10 s", rabbitmq.hung, within=BROKER_RECOVERY_SECONDS),
    Disturbance(
        "all connections closed every second",
        rabbitmq.connections_closed_every_second,
        within=BROKER_RECOVERY_SECONDS,
        quick=True,
    ),
    Disturbance("RabbitMQ loses its data", rabbitmq.wiped, resend=10.0, within=BROKER_RECOVERY_SECONDS),
    Disturbance(
        "three nodes, killed one after another",
        rabbitmq.nodes_killed,
        cluster=True,
        spread=30.0,
        within=BROKER_RECOVERY_SECONDS,
    ),
    Disturbance("message bodies of 16 and 128 MiB", rabbitmq.huge_bodies),
    Disturbance("PostgreSQL restarted", postgres.restarted, answers_lost=True),
    Disturbance("PostgreSQL killed twice", postgres.killed, answers_lost=True),
    Disturbance("PostgreSQL unavailable for 6 s", postgres.unavailable, answers_lost=True),
    Disturbance(
        "all backends terminated every 0.15 s", postgres.backends_terminated, answers_lost=True, quick=True
    ),
    Disturbance("PostgreSQL read-only", postgres.read_only, answers_lost=True),
    Disturbance("PostgreSQL's disk is full", postgres.disk_full, answers_lost=True, small_disk=True),
    Disturbance(
        "vendors: 5 % of calls answered 500", vendors.faulty(kind="status", chance=0.05), answers_lost=True
    ),
    Disturbance(
        "vendors: 20 % of calls answered 429",
        vendors.faulty(kind="status", status=429, retry_after=1, chance=0.2),
    ),
    Disturbance(
        "vendors: 3 % of calls hang for 30 s",
        vendors.faulty(kind="slow", seconds=30, chance=0.03),
        vendors.long_timeouts,
        answers_lost=True,
    ),
    Disturbance("vendors: effects happen after the timeout", vendors.effects_hang, answers_lost=True),
    Disturbance(
        "vendors: 10 % of answers lost", vendors.faulty(kind="lost_after", chance=0.1), answers_lost=True
    ),
    Disturbance(
        "vendors: 10 % of requests lost", vendors.faulty(kind="lost_before", chance=0.1), answers_lost=True
    ),
    Disturbance("vendors: tokens revoked every 1.7 s", vendors.tokens_revoked),
    Disturbance("vendors: result links expired", vendors.links_expired),
    Disturbance(
        "vendors: unavailable for a minute",
        vendors.faulty(kind="status", status=503, retry_after=1),
        length=60.0,
    ),
    Disturbance(
        "vendors: jobs that fail or never end",
        workers.wait_a_moment,
        vendors.short_deadline,
        besides=hopeless,
    ),
    Disturbance("everything published five times", duplicates.everything_five_times, quick=True),
    Disturbance(
        "clocks one minute apart", workers.worker_killed_every_second, workers.clocks_apart, answers_lost=True
    ),
    Disturbance(
        "two jobs that kill their process",
        workers.wait_a_moment,
        workers.with_poison,
        besides=poison(2),
        at_once=True,
        answers_lost=True,
        quick=True,
    ),
    Disturbance(
        "eight jobs that kill their process",
        workers.wait_a_moment,
        workers.with_poison,
        besides=poison(8),
        at_once=True,
        answers_lost=True,
    ),
    Disturbance(
        "embedded, killed repeatedly",
        workers.embedded_killed,
        embedded=True,
        answers_lost=True,
        quick=True,
        within=WORKER_RECOVERY_SECONDS,
    ),
]
