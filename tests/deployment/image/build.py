"""The image, built by `buildah` and run by `podman` with `runc`, without a container daemon.

Neither needs a registry: the base is a substitute made from Debian packages, with the contents of the official image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kyb-workers"
PACKAGES = ("buildah", "podman", "runc", "catatonit", "mmdebstrap", "fuse-overlayfs")
BASE = "localhost/kyb-python-slim-substitute"
IMAGE = "localhost/kyb-workers:check"

_CONF = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"

[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
"""
#: Settings that a build behind a proxy needs; they do not become part of the image.
_LENT = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")


def require_tools() -> None:
    """Install missing packages as root on Debian; elsewhere exit with their names."""
    if all(shutil.which(tool) for tool in ("buildah", "podman", "runc", "mmdebstrap")):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"building and running the image needs root and the packages {' '.join(PACKAGES)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        subprocess.run(["apt-get", "-qq", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)


def engine(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `podman …` or `buildah …` and return its output and exit code."""
    CACHE.mkdir(parents=True, exist_ok=True)
    conf = CACHE / "containers.conf"
    conf.write_text(_CONF)
    done = subprocess.run(
        arguments,
        cwd=ROOT,
        env={**os.environ, "CONTAINERS_CONF": str(conf)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(arguments)}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done


def base() -> None:
    """Build the substitute for `python:…-slim`: Debian 13 with Python, its venv and certificates."""
    if engine("podman", "image", "exists", BASE, check=False).returncode == 0:
        return
    archive = CACHE / "base.tar"
    if not archive.exists():
        draft = archive.with_suffix(".part.tar")
        packages = "--include=python3,python3-venv,ca-certificates"
        engine("mmdebstrap", "--quiet", "--variant=minbase", packages, "trixie", str(draft))
        draft.rename(archive)
    container = engine("buildah", "from", "scratch").stdout.strip()
    engine("buildah", "add", "--quiet", container, str(archive), "/")
    engine("buildah", "commit", "--quiet", "--rm", container, BASE)


def build() -> None:
    """Build the unchanged Dockerfile on the substitute."""
    lent = [option for path in _LENT if Path(path).exists() for option in ("--volume", f"{path}:{path}:ro")]
    engine(
        "buildah", "bud", "--isolation", "chroot", "--pull-never", "--layers", "--format", "docker",
        "--build-arg", f"PYTHON_IMAGE={BASE}", "--tag", IMAGE, *lent, ".",
    )  # fmt: skip


def inspected() -> dict[str, Any]:
    """Return the image's metadata."""
    [image] = json.loads(engine("podman", "image", "inspect", IMAGE).stdout)
    return dict(image)
