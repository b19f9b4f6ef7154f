"""`python -m tests.testbed`: install the servers and languages that the tests need, where possible.

As root with apt-get, it installs the missing packages. Otherwise it prints one line for each missing package.
`--rabbitmq4` adds the tools that fetch RabbitMQ 4, and `--clocks` adds libfaketime.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping

from tests.testbed import faketime, languages, openssh, postgres, rabbitmq, rabbitmq4
from tests.testbed.server import Broken, Missing

#: Each package with the variable that names another server to use, and the function that looks for the program.
ALWAYS: list[tuple[str, str | None, Callable[[], object]]] = [
    ("rabbitmq-server", "KYB_TEST_RABBITMQ_URL", rabbitmq.programs),
    ("postgresql", "KYB_TEST_POSTGRES_URL", postgres.programs),
    ("nodejs npm", None, languages.node),
    ("default-jdk-headless librabbitmq-client-java", None, languages.java),
    ("openssh-server", None, openssh.program),
]
ON_REQUEST: dict[str, tuple[str, str | None, Callable[[], object]]] = {
    "--rabbitmq4": ("patchelf", None, rabbitmq4.require_tools),
    "--clocks": ("libfaketime", None, faketime.library),
}


def main() -> int:
    """Return the exit status: 0 if everything is installed."""
    missing: dict[str, Missing] = {}
    for package, variable, find in [*ALWAYS, *(ON_REQUEST[name] for name in sys.argv[1:])]:
        try:
            if variable is None or not os.environ.get(variable):
                find()
        except Missing as error:
            missing[package] = error
    return (_install(missing) if missing else 0) or _amqplib()


def _install(missing: Mapping[str, Missing]) -> int:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(*missing.values(), sep="\n", file=sys.stderr)  # noqa: T201 - a command's message
        return 1
    print("Installing", *missing, "…", file=sys.stderr)  # noqa: T201 - a command's message
    packages = " ".join(missing).split()
    # RUNLEVEL=1: the packages' own services are not started where init scripts start them.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
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


def _amqplib() -> int:
    try:
        languages.amqplib()
    except Missing:
        try:
            languages.install_amqplib()
        except Broken as error:
            print(error, file=sys.stderr)  # noqa: T201 - a command's message
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
