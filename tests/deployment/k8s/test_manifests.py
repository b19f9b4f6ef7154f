"""The rendered manifests of both overlays pass every check that needs no cluster."""

from __future__ import annotations

import psycopg
import pytest

from tests.deployment.k8s.checks import problems
from tests.deployment.k8s.manifests import of_kind, rendered
from workers.ledger.database import Database


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_checks_report_nothing_when_manifests_are_rendered(overlay: str) -> None:
    assert problems(rendered(overlay)) == []


def test_scaler_queries_succeed_when_run_on_a_migrated_ledger(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.upgrade()
    database.close()
    queries = [
        trigger["metadata"]["query"]
        for scaled in of_kind(rendered("prod"), "ScaledObject")
        for trigger in scaled["spec"]["triggers"]
        if trigger["type"] == "postgresql"
    ]
    assert len(queries) == len(set(queries)) > 0
    with psycopg.connect(postgres_url) as connection:
        assert [connection.execute(query.encode()).fetchone() for query in queries] == [(0,)] * len(queries)
