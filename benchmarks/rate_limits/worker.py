"""kyb-workers with a job that starts and is looked at: `python -m benchmarks.budget.worker worker`.

The vendor tells nothing of its jobs' progress here: when to look is learned from earlier jobs alone, as in the simulation.
"""

from __future__ import annotations

import os

import workers.engine.worker  # noqa: F401 - the jobs must be there before one is replaced
from benchmarks.shorter import shorten
from clients.data8 import Data8
from messages.data8 import StartJob, StartJobResult
from workers.cli.main import main
from workers.engine.context import PollResult, Run
from workers.engine.registry import Services
from workers.jobs.catalogue import JOBS
from workers.jobs.data8.start_job import start


def start_job(command: StartJob, run: Run, services: Services) -> StartJobResult:
    """Start a job and wait for it: one call, and one for each look."""
    data8 = services.data8
    name = start(run, data8, command, {"Companies": os.environ["BUDGET_DATASET"]})
    run.poll("finish", lambda: look(data8, name), redo=("start",))
    return StartJobResult(job_name=name, statistics={}, outputs={}, output_filenames={})


def look(data8: Data8, name: str) -> PollResult:
    """Done or not."""
    return PollResult("done", {}) if data8.jobs.get(name).finished else PollResult("running")


if __name__ == "__main__":
    JOBS["data8.start_job"] = start_job
    shorten(float(os.environ["BUDGET_SHORTER"]))
    main()
