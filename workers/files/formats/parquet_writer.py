"""Tables as Parquet. All columns are strings: no value of a vendor's is read as something it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import BinaryIO

from workers.extras import importing

#: Rows of a row group, which is what is held in memory at once.
GROUP_ROWS = 50_000
#: Characters of a row group: it ends with the row that reaches them.
GROUP_CHARACTERS = 16 * 1024 * 1024


def write_parquet(out: BinaryIO, header: Sequence[str], rows: Iterable[Sequence[str]]) -> int:
    """Write a table; the same table gives the same bytes. Gives the number of rows.

    Args:
        out: to write to; stays the caller's to close.
        header: names of the columns, all different.
        rows: as many cells each as the header has.
    """
    with importing("parquet", "writing Parquet"):
        import pyarrow as pa  # noqa: PLC0415 - a quarter of a second and 40 MB
        import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([pa.field(name, pa.string(), nullable=False) for name in header])
    done = 0
    with pq.ParquetWriter(out, schema, compression="zstd", store_schema=False) as writer:
        group: list[Sequence[str]] = []
        size = 0

        def flush() -> None:
            columns = [pa.array(column, pa.string()) for column in zip(*group, strict=True)]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=len(group))

        for cells in rows:
            group.append(cells)
            size += sum(map(len, cells))
            done += 1
            if len(group) == GROUP_ROWS or size >= GROUP_CHARACTERS:
                flush()
                group.clear()
                size = 0
        if group:
            flush()
    return done
