"""Savings for the tests: no waiting for the disk, and no reading of all system certificates."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - its purpose
#: Free space required; the tests use a tenth of it.
FREE_BYTES = 4_000_000_000
#: An authority that has signed nothing; loading it alone saves 20 ms per client and process.
EMPTY_AUTHORITY = Path(__file__).with_name("nobody.pem")


def lighten() -> None:
    """Keep temporary files in memory where there is enough, and trust no public authority.

    Tests kill processes but never the machine, so files need not reach a disk. `TMPDIR` names another folder.
    """
    os.environ["SSL_CERT_FILE"] = str(EMPTY_AUTHORITY)
    if "TMPDIR" not in os.environ and _has_room(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def _has_room(folder: Path) -> bool:
    """Return whether the folder is writable, allows programs to run and has enough space."""
    if not os.access(folder, os.W_OK):
        return False
    runs_programs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return runs_programs and shutil.disk_usage(folder).free > FREE_BYTES
