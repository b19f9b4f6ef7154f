"""The layers that `make lint` checks: the code keeps them, and a planted import breaks them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("messages", "clients", "workers", "sandbox")


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()"]
    return subprocess.run(
        [*command, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder)},
    )


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("clients/errors.py", "import workers.errors", "Data flows one way"),
        ("messages/base.py", "import clients.errors", "know nothing of each other"),
        ("workers/ledger/claim.py", "import workers.engine.turns", "Layers of workers"),
        (
            "workers/broker/consumer.py",
            "def late() -> None:\n    import workers.engine.worker",
            "Layers of workers",
        ),
        ("workers/files/storage/s3.py", "import workers.jobs.results", "Layers of workers"),
    ],
)
def test_layers_break_when_a_module_imports_one_above_it(
    module: str, planted: str, contract: str, tmp_path: Path
) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    kept = lint_imports(tmp_path)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    with (tmp_path / module).open("a") as code:
        code.write(f"\n{planted}\n")
    broken = lint_imports(tmp_path)
    assert broken.returncode == 1
    assert any(contract in line and "BROKEN" in line for line in broken.stdout.splitlines()), broken.stdout
