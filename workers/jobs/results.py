"""Results of jobs, given their names once they are whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from functools import partial
from itertools import islice
from typing import Any, TypedDict

from messages.base import File, TableFormat, dump
from workers.engine.context import Run
from workers.engine.recovery import repeatable
from workers.files.formats.csv_table import Position, Table, dedupe_header
from workers.files.formats.parquet_writer import write_parquet
from workers.files.storage import Draft, Storage

CSV = "text/csv"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"

#: Rows between two checkpoints of a conversion.
CONVERT_ROWS = 5_000


class JsonLinesCheckpoint(TypedDict):
    """Checkpoint of a conversion: the position in the table, bytes written, and rows."""

    position: dict[str, int] | None
    offset: int
    done: int
    end: bool


def publish(run: Run, draft: Draft, name: str, media_type: str, records: int | None) -> File:
    """Make a draft the job's result `name`; `records` as in `Draft.publish`."""
    return _published(run, name, lambda: dump(draft.publish(media_type, records)))


def publish_table(run: Run, storage: Storage, name: str, records: int, format: TableFormat) -> File:
    """Publish the draft `<name>.csv` as the job's result `name`, in the file `<name>.<format>`.

    Args:
        run: the job's run.
        storage: where the draft is: a whole table as `csv_line` writes it, with a header row.
        name: of the result.
        records: rows of the table without its header.
        format: `csv` stays as it is; `jsonl` has one object a row and `parquet` one row a row, with all values as strings.
            Repeated names in the header get a number, as in `dedupe_header`.

    Raises:
        DraftLost: nothing was written.
    """
    table = storage.draft(run.job_id, f"{name}.csv")
    if format == "csv":
        return publish(run, table, name, CSV, records)
    target = storage.draft(run.job_id, f"{name}.{format}")
    step = f"convert {name}"
    if format == "jsonl":
        run.transfer(step, partial(_write_jsonl, table, target, records), kind="convert", total=records)
    else:
        # A Parquet file cannot be gone on with, its end describes all of it: a crash begins it anew.
        run.once(step, partial(_write_parquet, table, target, records), recover=repeatable)

    def effect() -> dict[str, Any]:
        file = target.publish(NDJSON if format == "jsonl" else PARQUET, records)
        table.remove()
        return dump(file)

    return _published(run, name, effect)


def _published(run: Run, name: str, effect: Callable[[], dict[str, Any]]) -> File:
    return File.model_validate(run.once(f"publish {name}", effect, recover=repeatable))


def _write_jsonl(
    table: Draft, target: Draft, records: int, at: JsonLinesCheckpoint | None
) -> Generator[JsonLinesCheckpoint]:
    if at is None or target.size < at["offset"]:
        at = {"position": None, "offset": 0, "done": 0, "end": False}
    with table.open() as stream:
        source = Table.open(stream, "the result", allow_repeated_headers=True)
        keys = dedupe_header(source.header)
        rows = source.rows(Position.of(at["position"]) if at["position"] else None)
        while not at["end"]:
            with target.append(at["offset"]) as out:
                done, position = 0, at["position"]
                for cells, place in islice(rows, CONVERT_ROWS):
                    out.write(json.dumps(dict(zip(keys, cells, strict=True)), ensure_ascii=False).encode())
                    out.write(b"\n")
                    done, position = done + 1, place.json()
                offset = out.tell()
            end = done < CONVERT_ROWS
            at = {"position": position, "offset": offset, "done": at["done"] + done, "end": end}
            yield at
    _check(at["done"], records)


def _write_parquet(table: Draft, target: Draft, records: int) -> dict[str, Any]:
    with table.open() as stream, target.append(0) as out:
        source = Table.open(stream, "the result", allow_repeated_headers=True)
        done = write_parquet(out, dedupe_header(source.header), (cells for cells, _ in source.rows()))
    _check(done, records)
    return {"done": done}


def _check(done: int, records: int) -> None:
    if done != records:
        raise RuntimeError(f"a result of {records} records has {done} rows")
