"""Where the CPU time of our workers goes: py-spy samples of the threads that hold the interpreter lock.

py-spy reads processes that are not its children. That needs root, or `kernel.yama.ptrace_scope=0`.
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

from benchmarks.peers.contenders import CONTENDERS, PEER_BIN
from benchmarks.peers.rounds import SETTLE_SECONDS, WARM_UP_JOBS, do
from benchmarks.peers.site import Installation, Site

#: The contender that polls as often as the others.
STEADY = "steady"
#: Samples per second.
SAMPLE_RATE = 250
#: py-spy needs this long to attach to a process.
ATTACH_SECONDS = 3.0

#: The parts, and a pattern in the stack of their samples; the first match counts.
PARTS = (
    ("consuming and acknowledging: pika", r"broker/consumer\.py:\d+\);IOLoop"),
    (
        "due turns and outbox: dispatcher and publisher",
        r"workers/(engine/dispatcher|broker/publisher_connection)\.py",
    ),
    ("handing messages to threads: Dramatiq, decoding", r"ConsumerThread\.run"),
    ("SQL: job lock", r"ledger/locks\.py"),
    ("SQL: accepting commands", r"JobStore\.accept "),
    ("SQL: claiming a turn, its steps, its end", r"ledger/claim\.py"),
    ("calls to the vendor, validation of the answers", r"clients/"),
    ("polling policy", r"polling/"),
    ("job functions, logs, metrics, validation", r"workers/engine/turns\.py"),
)
REST = "the rest"


def profile(site: Site, jobs: int) -> str:
    """Return a table of the parts' shares while that many jobs are polled once a second."""
    contender = next(one for one in CONTENDERS if one.key == STEADY)
    with closing(Installation(site, contender)) as installation:
        installation.start()
        try:
            do(site, installation, "profilew", WARM_UP_JOBS, seed=-1)
            time.sleep(SETTLE_SECONDS)
            files = [installation.folder / f"samples-{n}" for n, _ in enumerate(installation.pids())]
            with _recording(installation.pids(), files):
                do(site, installation, "profilex", jobs, seed=0)
            return table(line for file in files for line in file.read_text().splitlines())
        finally:
            installation.kill()


def table(stacks: Iterable[str]) -> str:
    """Return a table of the shares, from py-spy's raw lines: a stack and its count."""
    samples: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        samples[next((part for part, pattern in PARTS if re.search(pattern, stack)), REST)] += int(count)
    rows = [
        f"| {part} | {100 * samples[part] / samples.total():.0f} % |"
        for part in (*(part for part, _ in PARTS), REST)
    ]
    return "\n".join(["| part | share |", "| --- | --: |", *rows])


@contextmanager
def _recording(pids: Sequence[int], files: Sequence[Path]) -> Iterator[None]:
    recorders = [
        subprocess.Popen(  # noqa: S603 - of the benchmark's own environment
            [PEER_BIN / "py-spy", "record", "--gil", "--rate", str(SAMPLE_RATE), "--duration", "600", "--format", "raw",
             "--output", file, "--pid", str(pid)],
            stdout=subprocess.DEVNULL,
        )
        for pid, file in zip(pids, files, strict=True)
    ]  # fmt: skip
    time.sleep(ATTACH_SECONDS)
    try:
        yield
    finally:
        for recorder in recorders:
            recorder.send_signal(signal.SIGINT)  # it writes then
            recorder.wait(60)
