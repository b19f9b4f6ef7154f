from __future__ import annotations

import json
from pathlib import Path

import httpx

from clients.data8 import Data8
from clients.transport import correlation
from sandbox import Sandbox
from sandbox.core import PASSWORD, USERNAME
from tests.support.turn_harness import TurnHarness, command
from workers.engine.context import Run
from workers.polling.next_poll import PollResult


def test_every_vendor_call_of_every_turn_carries_the_jobs_correlation_id(
    sandbox: Sandbox, sqlite_url: str, tmp_path: Path
) -> None:
    sent: list[str | None] = []
    http = httpx.Client(
        event_hooks={"request": [lambda request: sent.append(request.headers.get("X-Correlation-ID"))]}
    )
    data8 = Data8.connect(
        f"{sandbox.url}/data8", f"{sandbox.url}/data8/connect/token", USERNAME, PASSWORD, http=http
    )

    def play(run: Run) -> dict[str, bool]:
        def look() -> PollResult:
            data8.jobs.list()
            return PollResult("done", answer=True)

        run.once("start", lambda: len(list(data8.jobs.list())))
        return {"finished": run.poll("finish", look)}

    harness = TurnHarness(sqlite_url, tmp_path, play)
    harness.turns.receive_command(
        json.dumps(json.loads(command("a")) | {"correlationid": "Aufträge 7"}).encode()
    )
    harness.drive("a")
    assert sent == ["Auftr%C3%A4ge%207"] * 3  # the token, and a call in each turn
    harness.arrive("b")
    harness.drive("b")
    assert sent[3:] == ["b"] * 2
    assert correlation.get() is None
    data8.close()
    harness.database.close()
