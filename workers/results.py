"""Results of jobs, given their names once they are whole."""

from __future__ import annotations

from messages.base import File, dump
from workers.run import Run, repeatable
from workers.storage import Draft


def publish(run: Run, draft: Draft, name: str, media_type: str, records: int | None) -> File:
    """Make a draft the job's result `name`; `records` as in `Draft.publish`."""
    published = run.once(
        f"publish {name}", lambda: dump(draft.publish(media_type, records)), recover=repeatable
    )
    return File.model_validate(published)
