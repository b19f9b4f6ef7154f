"""Disturbances of PostgreSQL."""

from __future__ import annotations

import contextlib
import time

from tests.chaos.disturbances.repeat import every
from tests.chaos.trial import Situation


def restarted(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.postgres.restart()


def killed(now: Situation) -> None:
    for _ in range(2):
        time.sleep(1.5)
        now.installation.postgres.kill()
        now.installation.postgres.start()
        now.again()


def unavailable(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.postgres.stop()
    time.sleep(6.0)
    now.installation.postgres.start()


def backends_terminated(now: Situation) -> None:
    every(0.15, now.length, lambda _: now.installation.terminate_backends())


def read_only(now: Situation) -> None:
    time.sleep(1.5)
    now.installation.sql("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    now.installation.terminate_backends()
    time.sleep(now.length)
    now.installation.sql("SET transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only",
                  "SELECT pg_reload_conf()")  # fmt: skip
    now.installation.terminate_backends()


def disk_full(now: Situation) -> None:
    """Fill the disk, free it as an operator would, and start PostgreSQL again if it has exited."""
    time.sleep(1.5)
    filler = now.installation.postgres.disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 65_536)
    time.sleep(now.length)
    filler.unlink()
    refusals = now.installation.postgres.output().count("No space left on device")
    assert refusals, "the disk was never full"
    now.notes.append(f"disk reported as full {refusals} times")
    now.installation.postgres.start_again()
