"""The assumptions about what Data8 does not publish, in one table that a deployer can change."""

from __future__ import annotations

from dataclasses import dataclass

#: Records in one block of an upload and in one download: documented.
BLOCK_LIMIT = 1_000
#: Entries on one page of a list: documented.
PAGE_SIZE = 100


@dataclass(frozen=True)
class Assumptions:
    """Codes and names that the documentation leaves open.

    Attributes:
        complete: job status codes of success. The document shows `status` as a number without a list of
            codes; assumed 0 queued, 1 running, 2 complete, 3 failed, 4 cancelled.
        failed: job status codes of failure.
        text: column type of text; the only example gives names 0 and a priority 1.
        whole_number: column type of whole numbers, from the same example.
        include_input: query parameter of the dataset list, described but not named.
        include_output: query parameter of the dataset list, described but not named.
        count: query parameter of a download for the number of records, described but not named.
        token_lifetime: seconds a token is valid when the answer has no `expires_in`.

    Raises:
        ValueError: a status code is both one of success and one of failure.
    """

    complete: frozenset[int | str] = frozenset({2})
    failed: frozenset[int | str] = frozenset({3, 4})
    text: int = 0
    whole_number: int = 1
    include_input: str = "input"
    include_output: str = "output"
    count: str = "count"
    token_lifetime: float = 3_600.0

    def __post_init__(self) -> None:
        if both := self.complete & self.failed:
            codes = ", ".join(sorted(map(str, both)))
            raise ValueError(f"status {codes} cannot be both complete and failed; set both")
