"""kyb-workers with a job that starts and is polled: `python -m benchmarks.rate_limits.worker worker`.

The vendor reports no progress here: polls are scheduled by earlier jobs alone, as in the simulation.
"""

from __future__ import annotations

import os

import workers.engine.worker  # noqa: F401 - the jobs must be there before one is replaced
from benchmarks.time_scale import shorten
from clients.data8 import Data8
from messages.data8 import StartJob, StartJobResult
from workers.cli.main import main
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.jobs.catalogue import JOBS
from workers.jobs.data8.start_job import start
from workers.polling.next_poll import PollResult


def start_job(command: StartJob, run: Run, services: Services) -> StartJobResult:
    """Start a job and wait for it: one call, and one for each poll."""
    data8 = services.data8
    name = start(run, data8, command, {"Companies": os.environ["BENCHMARK_DATASET"]})
    run.poll("finish", lambda: poll_job(data8, name), redo=("start",))
    return StartJobResult(job_name=name, statistics={}, outputs={}, output_filenames={})


def poll_job(data8: Data8, name: str) -> PollResult:
    """Return whether the job is done."""
    return PollResult("done", {}) if data8.jobs.get(name).finished else PollResult("running")


if __name__ == "__main__":
    JOBS["data8.start_job"] = start_job
    shorten(float(os.environ["BENCHMARK_TIME_SCALE"]))
    main()
