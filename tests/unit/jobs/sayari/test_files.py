"""Lists of Sayari's, page by page into a file."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from clients.sayari.shapes import TokenPage
from clients.sayari.workspace_shapes import UnresolvedEntity
from tests.support.turn_harness import TurnHarness
from workers.engine.context import Run
from workers.files.storage import Storage
from workers.jobs.sayari.files import collect

PAGES = 4


def test_the_next_page_is_fetched_while_one_is_written(sqlite_url: str, tmp_path: Path) -> None:
    asked = [threading.Event() for _ in range(PAGES)]
    storage = Storage([str(tmp_path)], str(tmp_path))

    def fetch(*, next: str | None) -> TokenPage[UnresolvedEntity]:
        number = int(next or 0)
        asked[number].set()
        following = number + 1
        page = {"data": [{"id": str(number)}], "next": str(following) if following < PAGES else None}
        return TokenPage[UnresolvedEntity].model_validate(page)

    def keep(entity: UnresolvedEntity) -> bool:
        return all(event.wait(10) for event in asked[int(entity.id) + 1 :][:1])

    def play(run: Run) -> dict[str, Any]:
        return {"done": collect(run, "fetch", "fetch", storage.draft("job", "list.jsonl"), fetch, keep)}

    harness = TurnHarness(sqlite_url, tmp_path, play)
    with closing(harness.database):
        harness.arrive()
        assert harness.drive().result is not None
    with storage.draft("job", "list.jsonl").open() as written:
        assert written.read() == b"".join(b'{"id":"%d"}\n' % number for number in range(PAGES))
