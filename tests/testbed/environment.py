"""What a machine could do without for the tests: waiting for its disk, and reading all certificates there are."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - that is what it is there for
#: Bytes that there must be room for; the tests take a tenth of it.
ROOM = 4_000_000_000
#: An authority that has signed nothing: 20 ms less for each client that is made, and each process.
NOBODY = Path(__file__).with_name("nobody.pem")


def lighten() -> None:
    """Temporary files are kept in memory where there is enough of it, and nobody outside is trusted.

    Tests kill processes, never the machine: what they write need not reach a disk. `TMPDIR` names another place.
    """
    os.environ["SSL_CERT_FILE"] = str(NOBODY)
    if "TMPDIR" not in os.environ and _roomy(MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def _roomy(folder: Path) -> bool:
    """Whether files can be written there, started as programs too, and are not many too many."""
    if not os.access(folder, os.W_OK):
        return False
    runs_programs = not os.statvfs(folder).f_flag & os.ST_NOEXEC
    return runs_programs and shutil.disk_usage(folder).free > ROOM
