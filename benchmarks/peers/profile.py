"""Where the processor time of our workers goes: samples of the threads that hold Python's lock, by py-spy.

It looks into processes that are not its own children: that takes root, or `kernel.yama.ptrace_scope=0`.
"""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.peers.contenders import CONTENDERS, OTHERS
from benchmarks.peers.rounds import SETTLE, WARM, do
from benchmarks.peers.site import Installation, Site

#: The contender that looks as often as the others do.
STEADY = "steady"
#: Samples a second.
RATE = 250
#: Seconds until it has found its way into a process.
ATTACHED = 3.0

#: The parts, and what is in a sample's stack then; the first that fits has the sample.
PARTS = (
    ("consuming and acknowledging: pika", r"broker/consumer\.py:\d+\);IOLoop"),
    ("due turns and outbox: dispatcher and publisher", r"workers/(dispatcher|broker/line)\.py"),
    ("messages to threads and back: Dramatiq, decoding", r"ConsumerThread\.run"),
    ("SQL: the hold of a turn", r"ledger/locks\.py"),
    ("SQL: commands that arrive", r"Ledger\.accept "),
    ("SQL: taking a turn, its steps, its end", r"ledger/claim\.py"),
    ("calls to the vendor, with checks of the answers", r"clients/"),
    ("polling rule", r"polling/"),
    ("job functions, logs, metrics, validation", r"workers/turns\.py"),
)
REST = "the rest"


def profile(site: Site, jobs: int) -> str:
    """A table of the parts' shares, while so many jobs are looked at once a second."""
    contender = next(one for one in CONTENDERS if one.key == STEADY)
    with closing(Installation(site, contender)) as installation:
        installation.start()
        try:
            do(site, installation, "profilew", WARM, seed=-1)
            time.sleep(SETTLE)
            files = [installation.folder / f"samples-{n}" for n, _ in enumerate(installation.pids())]
            with _recording(installation.pids(), files):
                do(site, installation, "profilex", jobs, seed=0)
            return table(line for file in files for line in file.read_text().splitlines())
        finally:
            installation.kill()


def table(stacks: Iterable[str]) -> str:
    """The shares, from py-spy's raw lines: a stack and how often it was seen."""
    seen: Counter[str] = Counter()
    for line in stacks:
        stack, _, times = line.rpartition(" ")
        seen[next((part for part, mark in PARTS if re.search(mark, stack)), REST)] += int(times)
    rows = [
        f"| {part} | {100 * seen[part] / seen.total():.0f} % |"
        for part in (*(part for part, _ in PARTS), REST)
    ]
    return "\n".join(["| part | share |", "| --- | --: |", *rows])


@contextmanager
def _recording(pids: Sequence[int], files: Sequence[Path]) -> Iterator[None]:
    recorders = [
        subprocess.Popen(  # noqa: S603 - of the benchmark's own environment
            [OTHERS / "py-spy", "record", "--gil", "--rate", str(RATE), "--duration", "600", "--format", "raw",
             "--output", file, "--pid", str(pid)],
            stdout=subprocess.DEVNULL,
        )
        for pid, file in zip(pids, files, strict=True)
    ]  # fmt: skip
    time.sleep(ATTACHED)
    try:
        yield
    finally:
        for recorder in recorders:
            recorder.send_signal(signal.SIGINT)  # it writes then
            recorder.wait(60)
