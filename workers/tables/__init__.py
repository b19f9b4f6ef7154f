"""Tables as files: CSV read as a stream that can be resumed after any row, CSV and Parquet written row by row.

`delimited` splits bytes into records, `regular` tells plain ones without doing so, `table` makes rows of them.
"""

from workers.tables.table import (
    Position,
    Table,
    csv_line,
    csv_lines,
    distinct,
    header_trouble,
    refusal,
    wrong_width,
)

__all__ = [
    "Position",
    "Table",
    "csv_line",
    "csv_lines",
    "distinct",
    "header_trouble",
    "refusal",
    "wrong_width",
]
