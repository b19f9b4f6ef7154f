"""A feature whose extra is not installed says how to install it, and nothing else needs that extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from workers.extras import MODULES, Extra

ROOT = Path(__file__).parents[2]

#: By extra, a call of `kyb` or of Python that uses its feature.
USES: dict[Extra, str] = {
    "s3": "from workers.files.storage import Storage; Storage(['s3://bucket/in'], 'results')",
    "sftp": "from workers.files.storage import Storage; Storage(['sftp://host/in'], 'results')",
    "parquet": "import io; from workers.files.formats.parquet_writer import write_parquet;"
    " write_parquet(io.BytesIO(), ['a'], [])",
    "otel": "import os; os.environ['OTEL_TRACES_EXPORTER'] = 'console';"
    " from workers.observability import tracing; tracing.start()",
    "sandbox": "import sys; sys.argv = ['kyb', 'sandbox']; from workers.cli.main import main; main()",
}


def run_without(modules: tuple[str, ...], program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process in which none of `modules` can be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({modules!r}));"
    return subprocess.run(
        [sys.executable, "-c", blocked + program],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("extra", MODULES)
def test_feature_names_its_extra_when_that_is_not_installed(extra: Extra, tmp_path: Path) -> None:
    ended = run_without(MODULES[extra], USES[extra], tmp_path)

    assert ended.returncode != 0
    assert f"needs the extra {extra}: pip install 'kyb-workers[{extra}]'" in ended.stderr.splitlines()[-1]


def test_worker_and_command_line_import_no_extra(tmp_path: Path) -> None:
    every_extra = tuple({module for modules in MODULES.values() for module in modules})
    program = (
        "import workers.engine.worker, workers.cli.commands.worker, workers.cli.commands.submit,"
        "workers.cli.commands.jobs, workers.cli.commands.events, workers.cli.commands.dlq"
    )

    ended = run_without(every_extra, program, tmp_path)

    assert ended.returncode == 0, ended.stderr
