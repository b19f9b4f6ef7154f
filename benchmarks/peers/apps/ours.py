"""kyb-workers, with a job function that makes the same calls as everybody else's: `python ours.py worker`.

`data8.start_job` also downloads what the job has produced. This one stops when it knows the outputs' statistics.
The vendor's jobs are many times shorter here than in earnest, so the seconds of the polling rule are, too.
"""

from __future__ import annotations

import os
from functools import partial

import workers.engine.worker  # noqa: F401 - the jobs must be there before one is replaced
from benchmarks.shorter import shorten
from messages.data8 import StartJob, StartJobResult
from workers.cli.main import main
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.jobs.catalogue import JOBS
from workers.jobs.data8.start_job import poll_job, start


def start_job(command: StartJob, run: Run, services: Services) -> StartJobResult:
    """Start a job and wait for it."""
    name = start(run, services.data8, command, {"Companies": os.environ["PEER_DATASET"]})
    found = run.poll("finish", partial(poll_job, services.data8, name), redo=("start",))
    return StartJobResult(
        job_name=name, statistics=found["statistics"], outputs={}, output_filenames=found["output_filenames"]
    )


if __name__ == "__main__":
    JOBS["data8.start_job"] = start_job
    shorten(float(os.environ["PEER_SHORTER"]))
    main()
