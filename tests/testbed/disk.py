"""A small disk that a test can fill."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.testbed.server import Missing


@contextmanager
def small_disk(mebibytes: int) -> Iterator[Path]:
    """Yield a folder on a disk of this size. Raises `Missing` where the process may not mount."""
    with tempfile.TemporaryDirectory(prefix="kyb-disk-") as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", folder],
            capture_output=True,
            check=False,
        )
        if mounted.returncode:
            raise Missing("a small disk is made by mounting a tmpfs, which only root may do")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
