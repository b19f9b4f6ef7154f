"""Disturbances of worker processes."""

from __future__ import annotations

import random
import time

from sandbox.core import Fault
from tests.chaos.disturbances.repeat import every
from tests.chaos.installation import POISON, Installation
from tests.chaos.trial import Situation
from tests.chaos.versions import next_version, upgrade
from tests.support.waiting import wait_until
from tests.testbed import faketime


def worker_killed_every_second(now: Situation) -> None:
    choices = random.Random(1)  # noqa: S311 - no secret

    def kill(_: int) -> None:
        now.installation.workers.kill_one(choices.randrange(2))
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


def slow_some_calls(installation: Installation) -> None:
    """Make some calls slow, so that the disturbance happens during uploads, polls and downloads."""
    installation.sandbox.state.faults["*"].append(Fault("slow", times=1_000_000, seconds=0.4, chance=0.15))


def all_workers_terminated(now: Situation) -> None:
    time.sleep(2.0)
    _check_exits(now, now.installation.workers.terminate_all())


def rolling_restart(now: Situation) -> None:
    every(2.0, now.length, lambda _: _check_exits(now, [now.installation.workers.terminate_one(0)]))


def new_version(now: Situation) -> None:
    """Migrate the ledger while old workers run, then replace the workers one after another."""
    folder = next_version(now.installation)
    time.sleep(1.0)
    upgrade(now.installation, folder)
    now.installation.workers.code = folder
    for number in (1, 2):
        _check_exits(now, [now.installation.workers.terminate_one(0)])
        _await_next_versions(now, number)


def _await_next_versions(now: Situation, count: int) -> None:
    """Wait until `count` workers of the next version have started, by the log."""
    log = now.installation.workers
    wait_until(
        lambda: sum(line.get("version") == "next" for line in log.lines()) >= count,
        60.0,
        lambda: "no worker of the next version has started",
    )


def _check_exits(now: Situation, exits: list[tuple[int, float]]) -> None:
    assert [code for code, _ in exits] == [0] * len(exits), f"exit codes {exits}"
    assert all(seconds < 30 for _, seconds in exits), f"longer than the grace period: {exits}"
    now.notes.append(f"ended within {max(seconds for _, seconds in exits):.1f} s")


def with_poison(installation: Installation) -> None:
    """Install the poison and slow the vendors down, so that a killed process always has other jobs at work."""
    installation.preamble = POISON
    installation.sandbox.state.faults["*"].append(Fault("slow", times=1_000_000, seconds=0.4))


def wait_a_moment(now: Situation) -> None:
    time.sleep(1.0)


def embedded_killed(now: Situation) -> None:
    every(1.3, now.length / 2, lambda _: now.installation.workers.kill_all())


def clocks_apart(installation: Installation) -> None:
    """Set the clock of every second worker one minute ahead."""
    installation.workers.others = {
        "LD_PRELOAD": faketime.library(), "FAKETIME": "+60s", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
