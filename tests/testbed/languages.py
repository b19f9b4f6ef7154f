"""Node.js and Java with their AMQP clients, for the scripts of `docs/how-to/integrate`."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.testbed.server import Broken, Missing

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "docs" / "how-to" / "integrate"
#: Folder of amqplib, at the version in the scripts' lock.
NODE_MODULES = ROOT / ".testbed" / "node"

#: The jars of Debian's librabbitmq-client-java and its dependencies.
_JARS = [Path("/usr/share/java") / name for name in ("amqp-client.jar", "slf4j-api.jar")]


def node() -> str:
    """Return the path of `node`. Raises `Missing` without it or npm."""
    program = shutil.which("node")
    if program is None or shutil.which("npm") is None:
        raise Missing("the tests need Node.js: install the packages nodejs (18 or later) and npm")
    return program


def java() -> list[str]:
    """Return `java` with its class path. Raises `Missing` without it, `javac` or the client."""
    program = shutil.which("java")
    if program is None or shutil.which("javac") is None:
        raise Missing("the tests need Java: install the package default-jdk-headless (17 or later)")
    if not all(jar.exists() for jar in _JARS):
        raise Missing("the tests need RabbitMQ's Java client: install the package librabbitmq-client-java")
    return [program, "-cp", ":".join(map(str, _JARS))]


def amqplib() -> Path:
    """Return a folder for Node's scripts. Raises `Missing` if its modules differ from the lock."""
    lock = NODE_MODULES / "package-lock.json"
    current = lock.exists() and lock.read_bytes() == (SCRIPTS / "node" / lock.name).read_bytes()
    if not current or not (NODE_MODULES / "node_modules" / "amqplib").exists():
        raise Missing("the tests need amqplib: run python -m tests.testbed, as `make test` does")
    return NODE_MODULES


def install_amqplib() -> None:
    """Install the modules of the scripts' lock, verified by digest. Raises `Broken`."""
    NODE_MODULES.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SCRIPTS / "node" / name, NODE_MODULES)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=NODE_MODULES, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        (NODE_MODULES / "package-lock.json").unlink()
        raise Broken(f"npm ci: {done.stderr[-2000:]}")
