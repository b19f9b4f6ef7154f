"""A purge deletes old jobs whose events are published. Unfinished jobs stay, whatever their age."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from messages.events import Status
from tests.support.turn_harness import TurnHarness
from workers.ledger.schema import event, job, step

DAY = 86_400.0


@pytest.fixture
def harness(sqlite_url: str, tmp_path: Path) -> Iterator[TurnHarness]:
    harness = TurnHarness(sqlite_url, tmp_path, lambda run: {"done": run.once("start", lambda: 1)})
    yield harness
    harness.database.close()


#: Of each job: whether it has ended, how old it is in days, whether its last event was told.
lives = st.lists(st.tuples(st.booleans(), st.integers(0, 60), st.booleans()), max_size=6)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lives=lives, days=st.integers(0, 60))
def test_purge_deletes_only_old_jobs_whose_events_are_published(
    harness: TurnHarness, lives: list[tuple[bool, int, bool]], days: int
) -> None:
    for number, (ended, age, told) in enumerate(lives):
        id_ = f"job-{number}"
        harness.arrive(id_)
        then = harness.ledger.database.now() - (age + 0.5) * DAY
        open_ = {} if ended else {"status": Status.RUNNING.value}
        with harness.database.write() as connection:
            connection.execute(
                update(job)
                .where(job.c.id == id_)
                .values(accepted_at=then, updated_at=then, ended_at=then if ended else None, **open_)
            )
            at = then if told else None
            connection.execute(update(event).where(event.c.job_id == id_).values(published_at=at))
    before = {found.id for found in harness.ledger.queries.jobs()}
    gone = {f"job-{n}" for n, (ended, age, told) in enumerate(lives) if ended and told and age >= days}
    assert harness.ledger.queries.purge(days * DAY) == len(gone)
    assert {found.id for found in harness.ledger.queries.jobs()} == before - gone
    for id_ in before:
        assert (
            bool(harness.ledger.queries.steps(id_))
            == bool(harness.ledger.queries.events(job_id=id_))
            == (id_ not in gone)
        )
    with harness.database.write() as connection:
        for table in (event, step, job):
            connection.execute(delete(table))
