"""The command line `kyb`: results of calls, and calls in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

COMPANIES = "name,countryCode\nAcme Ltd,GB\nBeispiel GmbH,DE\nExemple SA,FR\n"


@dataclass
class CliResult:
    """The exit code and the output of a call."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


#: Calls `kyb` with these arguments (the fixture `kyb`).
Kyb = Callable[..., CliResult]


@contextmanager
def kyb_process(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Run `kyb …` in a process of its own, which is killed on exit if it still runs."""
    child = subprocess.Popen(
        [sys.executable, "-m", "workers.cli.main", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()
