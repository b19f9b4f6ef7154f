"""Parquet files, batch by batch of a row group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from workers.extras import importing
from workers.files.formats.archives import EXPANDED_LIMIT, unreadable
from workers.files.formats.csv_records import RowError
from workers.files.formats.reader import Row, fitting, refused

_NO_FRACTION = re.compile(r"\.0+(?=Z?$)")

#: Rows at once.
BATCH = 1_000
#: Bytes of one row group, as the file tells them, before it is read.
GROUP_LIMIT = 2 * 1024**3


class ParquetReader:
    """A file of columns. Its rows are counted from 1; the header is in its schema."""

    unit = "row"
    header_line = 0
    resumable = True

    def __init__(self, stream: BinaryIO, uri: str) -> None:
        with importing("parquet", "reading Parquet"):
            import pyarrow as pa  # noqa: PLC0415 - a quarter of a second and 40 MB
            import pyarrow.parquet as pq  # noqa: PLC0415

        self._pa = pa
        self._number = 0
        self._uri = uri
        stream.seek(0)
        try:
            self._file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=1024 * 1024)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._broken(error) from error
        schema = self._file.schema_arrow
        for column, field in enumerate(schema, 1):
            if pa.types.is_nested(field.type):
                raise unreadable(
                    uri, f"column {column} holds lists or records; write columns of single values"
                )
        self.header: list[str] | RowError = list(schema.names)
        groups = [self._file.metadata.row_group(index) for index in range(self._file.num_row_groups)]
        sizes = [group.total_byte_size for group in groups]
        if sum(sizes) > EXPANDED_LIMIT or max(sizes, default=0) > GROUP_LIMIT:
            raise unreadable(
                uri, f"it is too large: {EXPANDED_LIMIT} bytes in all and {GROUP_LIMIT} a row group are read"
            )
        self._counts = [group.num_rows for group in groups]

    def rows(self, at: dict[str, int] | None) -> Iterator[Row]:
        """As of any reader."""
        after = at["row"] if at else 0
        number = 0
        for group, count in enumerate(self._counts):
            if number + count <= after:
                number += count
                continue
            for row in self._group(group):
                number += 1
                if number > after:
                    self._number = number
                    yield fitting(row, len(self.header), number), {"row": number}

    def bad(self, column: int | None, reason: str, cells: list[str]) -> RowError:
        """As of any reader."""
        return refused(self._number, column, reason, cells)

    def _group(self, group: int) -> Iterator[list[str | RowError]]:
        pa = self._pa
        try:
            for batch in self._file.iter_batches(batch_size=BATCH, row_groups=[group], use_threads=False):
                columns = [self._texts(column, index) for index, column in enumerate(batch.columns, 1)]
                yield from map(list, zip(*columns, strict=True))
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._broken(error) from error

    def _texts(self, column: Any, index: int) -> list[str | RowError]:
        """A column's values as text: nothing for null, whole numbers without point, times as ISO 8601."""
        types, type_ = self._pa.types, column.type
        if types.is_dictionary(type_):
            return self._texts(column.dictionary_decode(), index)
        if types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_):
            return [_decoded(value, index) for value in column.to_pylist()]
        if types.is_string(type_) or types.is_large_string(type_):
            binary = self._pa.large_binary() if types.is_large_string(type_) else self._pa.binary()
            return [_decoded(value, index) for value in column.cast(binary).to_pylist()]
        values = ["" if value is None else value for value in column.cast(self._pa.string()).to_pylist()]
        if types.is_timestamp(type_) or types.is_time(type_):
            return [_NO_FRACTION.sub("", value.replace(" ", "T", 1)) for value in values]
        return values

    def _broken(self, error: Exception) -> Exception:
        return unreadable(self._uri, f"the Parquet file is broken ({type(error).__name__}); write it anew")


def _decoded(value: bytes | None, column: int) -> str | RowError:
    if value is None:
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        text = value.decode(errors="backslashreplace")
        return RowError(0, 0, column, f"not UTF-8 at byte {error.start + 1} of the cell", text, "")
