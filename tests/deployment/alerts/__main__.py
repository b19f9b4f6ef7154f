"""`python -m tests.deployment.alerts`: check rules, dashboard and a real scrape with promtool.

promtool is part of Debian's package `prometheus`. If it is missing, it is installed with apt-get, which needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import yaml

from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.deployment.alerts.files import RULES_TEST, dashboard_expressions, groups
from workers.engine.worker import Worker
from workers.ledger.database import Database
from workers.observability import logs
from workers.observability.probes import Probes
from workers.settings import LogSettings, load

COMMAND = {
    "specversion": "1.0",
    "id": "job",
    "source": "/tests",
    "type": "sayari.resolve_entities",
    "data": {"entities": [{"name": ["Nobody"]}]},
}
ENDED = 'kyb_jobs_ended_total{code="",command="sayari.resolve_entities",status="completed"} 1'


def main() -> int:
    """Return the exit status: 0 if every check passes."""
    if not shutil.which("promtool"):
        install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups()}))
        shutil.copy(RULES_TEST, folder)
        recorded = [{"record": f"panel:{n}", "expr": e} for n, e in enumerate(dashboard_expressions())]
        panels = {"groups": [{"name": "panels", "rules": recorded}]}
        (folder / "panels.yaml").write_text(yaml.safe_dump(panels))
        promtool(folder, "check", "rules", "rules.yaml", "panels.yaml")
        promtool(folder, "test", "rules", RULES_TEST.name)
        promtool(folder, "check", "metrics", text=scrape(folder))
    return 0


def promtool(folder: Path, *arguments: str, text: str | None = None) -> None:
    """Run promtool and exit with its output unless it succeeds."""
    done = subprocess.run(["promtool", *arguments], cwd=folder, input=text, text=True, check=False)
    if done.returncode:
        sys.exit(f"promtool {' '.join(arguments)}: exit code {done.returncode}")


def scrape(folder: Path) -> str:
    """Return the metrics of a worker that has completed a job."""
    with Sandbox(state=SandboxState(job_seconds=0.1, queue_seconds=0)) as sandbox:
        os.environ |= sandbox.environment()
        logs.configure(LogSettings(level="error"))
        settings = load(ledger_url=f"sqlite:///{folder}/kyb.db", _env_file=None)
        database = Database(settings.ledger_url.get_secret_value())
        database.upgrade()
        database.close()
        worker = Worker(settings)
        probes = Probes(settings.http.model_copy(update={"port": 0}), worker.health, [worker.ledger_monitor])
        worker.start()
        probes.start()
        try:
            worker.turns.receive_command(json.dumps(COMMAND).encode())
            ends = time.monotonic() + 60
            while time.monotonic() < ends:
                text = httpx.get(f"http://127.0.0.1:{probes.port}/metrics", trust_env=False).text
                if (
                    'kyb_jobs_ended_total{code="",command="sayari.resolve_entities",status="completed"} 1'
                    in text
                    and "kyb_jobs{" in text
                ):
                    return text
                time.sleep(0.1)
            sys.exit("the job did not end, or the metrics of the ledger are missing")
        finally:
            probes.stop()
            worker.stop()


def install() -> None:
    """Install promtool, or exit with the name of the package to install."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("promtool is missing: install the package prometheus")
    # RUNLEVEL=1 keeps init scripts from starting the package's own service.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "prometheus"]):
        done = subprocess.run(["apt-get", "-qq", *command], env=environment, capture_output=True, check=False)
        if done.returncode:
            sys.exit(done.stderr.decode(errors="replace"))


if __name__ == "__main__":
    sys.exit(main())
