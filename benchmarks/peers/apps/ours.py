"""kyb-workers, with a job function that makes the same calls as the other contenders: `python ours.py worker`.

`data8.start_job` also downloads the outputs. This one stops when it knows their statistics. The vendor's jobs are
shorter here than in production, and the polling policy's constants are shortened by the same factor.
"""

from __future__ import annotations

import os
from functools import partial

import workers.engine.worker  # noqa: F401 - the jobs must be there before one is replaced
from benchmarks.time_scale import shorten
from messages.data8 import StartJob, StartJobResult
from workers.cli.main import main
from workers.engine.context import Run
from workers.engine.registry import Services
from workers.jobs.catalogue import JOBS
from workers.jobs.data8.start_job import poll_job, start


def start_job(command: StartJob, run: Run, services: Services) -> StartJobResult:
    """Start a job and wait for it."""
    name = start(run, services.data8, command, {"Companies": os.environ["PEER_DATASET"]})
    outcome = run.poll("finish", partial(poll_job, services.data8, name), redo=("start",))
    return StartJobResult(
        job_name=name,
        statistics=outcome["statistics"],
        outputs={},
        output_filenames=outcome["output_filenames"],
    )


if __name__ == "__main__":
    JOBS["data8.start_job"] = start_job
    shorten(float(os.environ["PEER_TIME_SCALE"]))
    main()
