"""`python -m tests.testbed`: install the servers that the tests need, where that can be done.

As root, with apt-get, what is missing comes from the system's packages. Otherwise one line says what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.testbed import openssh, postgres, rabbitmq
from tests.testbed.server import Missing


def main() -> int:
    """Exit status: 0 when all is there."""
    missing: dict[str, Missing] = {}
    for package, variable, find in (
        ("rabbitmq-server", "KYB_TEST_RABBITMQ_URL", rabbitmq.scripts),
        ("postgresql", "KYB_TEST_POSTGRES_URL", postgres.programs),
        ("openssh-server", "", openssh.program),
    ):
        try:
            if not os.environ.get(variable):
                find()
        except Missing as error:
            missing[package] = error
    if not missing:
        return 0
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(*missing.values(), sep="\n", file=sys.stderr)  # noqa: T201 - a command's message
        return 1
    print("Installing", *missing, "…", file=sys.stderr)  # noqa: T201 - a command's message
    # RUNLEVEL=1: the packages' own services are not started where init scripts start them.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        done = subprocess.run(
            ["apt-get", "-qq", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            sys.stderr.buffer.write(done.stdout)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
