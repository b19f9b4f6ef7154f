"""The pytest fixtures of the sandbox, and the sandbox without pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import sandbox

HERE = Path(sandbox.__file__).parents[1]
USES = """
import os
import httpx

def test_sandbox_belongs_to_the_test(kyb_sandbox, kyb_environment):
    url = os.environ["KYB_DATA8__BASE_URL"]
    assert url == f"{kyb_sandbox.url}/data8"
    assert httpx.get(f"{url}/Job").status_code == 401
    assert kyb_sandbox.state.calls == {"data8.jobs.list": 1}

def test_environment_is_restored_after_the_test(kyb_sandbox_state, kyb_sandbox):
    assert "KYB_DATA8__BASE_URL" not in os.environ
    assert kyb_sandbox.state is kyb_sandbox_state
    assert kyb_sandbox_state.job_seconds < 1
    assert not kyb_sandbox_state.calls
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KYB_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_fixtures_work_when_loaded_as_a_plugin(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["sandbox.fixtures"]')
    (tmp_path / "test_mine.py").write_text(USES)
    ended = run(tmp_path, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "2 passed" in ended.stdout


def test_sandbox_starts_when_pytest_is_missing(tmp_path: Path) -> None:
    without = "import sys; sys.modules['pytest'] = None; from sandbox import Sandbox\nwith Sandbox(): pass"
    ended = run(tmp_path, "-W", "error", "-c", without)
    assert ended.returncode == 0, ended.stderr


def test_documented_example_prints_the_documented_output(tmp_path: Path) -> None:
    blocks = (HERE / "docs" / "reference" / "sandbox.md").read_text(encoding="utf-8").split("```")
    example = next(number for number, block in enumerate(blocks) if block.startswith("python\n"))
    ended = run(tmp_path, "-W", "error", "-c", blocks[example].removeprefix("python\n"))
    assert ended.stdout.strip() == blocks[example + 2].strip(), ended.stderr
