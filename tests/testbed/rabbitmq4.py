"""RabbitMQ 4 from a later Debian release, run beside the system's own version.

`python -m tests.testbed.rabbitmq4 4.0 4.3` fetches both into `.venv/testbed`, which `make clean` removes. That
needs apt-get, dpkg-deb and patchelf, but no root.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.testbed.rabbitmq import Programs
from tests.testbed.server import Broken, Missing

#: The Debian release that has each version, and the packages beyond those that every release needs.
RELEASES = {"4.0": ("trixie", ()), "4.3": ("sid", ("erlang-eunit",))}

_ERLANG = ("asn1", "base", "crypto", "eldap", "inets", "mnesia", "os-mon", "parsetools", "public-key",
           "runtime-tools", "ssl", "syntax-tools", "tools", "xmerl")  # fmt: skip
_LIBRARIES = ("libc6", "libcap2", "libgcc-s1", "libsctp1", "libssl3t64", "libstdc++6", "libsystemd0",
              "libtinfo6", "libzstd1", "zlib1g")  # fmt: skip

_HOME = Path(sys.prefix) / "testbed"

_APT_CONF = """
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferencesparts "{folder}/preferences";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
"""
_SOURCE = """Types: deb
URIs: {mirror}
Suites: {suite}
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def programs(version: str) -> Programs:
    """Return the programs of RabbitMQ `4.0` or `4.3`, fetched at first use (about 15 s, 200 MB).

    Raises:
        Missing: it cannot be fetched here; the message says why.
    """
    root = _HOME / f"rabbitmq-{version}"
    if not root.exists():
        _fetch(root, *RELEASES[version])
    (scripts,) = (root / "usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin")
    return Programs(scripts, root / "usr/lib/erlang/bin")


def require_tools() -> None:
    """Raise `Missing` unless the tools that fetch RabbitMQ 4 are installed."""
    for program in ("apt-get", "dpkg-deb", "patchelf"):
        if shutil.which(program) is None:
            raise Missing(f"RabbitMQ 4 is fetched with {program}: install it")


def _fetch(root: Path, suite: str, more: tuple[str, ...]) -> None:
    require_tools()
    folder = root.with_suffix(".fetching")
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("sources", "preferences", "lists/partial", "cache/archives/partial", "debs", "root"):
        (folder / name).mkdir(parents=True)
    (folder / "sources/later.sources").write_text(_SOURCE.format(mirror=_mirror(), suite=suite))
    (folder / "apt.conf").write_text(_APT_CONF.format(folder=folder))
    packages = ["rabbitmq-server", *(f"erlang-{name}" for name in _ERLANG), *_LIBRARIES, *more]
    environment = {"APT_CONFIG": str(folder / "apt.conf"), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    _run(["apt-get", "-qq", "update"], folder / "debs", environment)
    _run(["apt-get", "-qq", "download", *(f"{p}/{suite}" for p in packages)], folder / "debs", environment)
    for package in (folder / "debs").iterdir():
        _run(["dpkg-deb", "--extract", str(package), str(folder / "root")], folder, environment)
    _relocate(folder / "root", root)
    (folder / "root").rename(root)
    shutil.rmtree(folder)


def _relocate(now: Path, later: Path) -> None:
    """Prepare the programs in `now` to run from `later` with their own C library."""
    (loader,) = (now / "usr/lib").glob("*/ld-linux-*.so.*")
    libraries = later / loader.parent.relative_to(now)
    for program in _executables(now / "usr/lib/erlang"):
        arguments = ["--set-interpreter", str(libraries / loader.name), "--force-rpath", "--set-rpath"]
        _run(["patchelf", *arguments, str(libraries), str(program)], now, {"PATH": "/usr/bin:/bin"})
    home = "ROOTDIR=/usr/lib/erlang"
    for script in [now / "usr/lib/erlang/bin/erl", *(now / "usr/lib/erlang").glob("erts-*/bin/erl")]:
        script.write_text(script.read_text().replace(home, f"ROOTDIR={later}/usr/lib/erlang"))


def _executables(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.suffix != ".so" and path.stat().st_mode & 0o100:
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF" and _interpreted(path):
                    yield path


def _interpreted(path: Path) -> bool:
    """Return whether the program is linked dynamically and so needs its libraries."""
    command = ["patchelf", "--print-interpreter", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _mirror() -> str:
    """Return the Debian mirror in apt's configuration. Raises `Missing` if there is none."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    uris = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    if not uris:
        raise Missing("RabbitMQ 4 is fetched from Debian: apt has no list of it (apt-get update)")
    return uris[0]


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Broken(f"{' '.join(command[:3])}: {done.stdout}{done.stderr}")


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        programs(wanted)
