"""Tests of the image as in production: unprivileged user, read-only root, no capabilities, little memory.

Not part of `make test`: `make check-image` builds it first, which takes minutes on a fresh machine.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sandbox import Sandbox
from tests.deployment.image.build import IMAGE, ROOT, base, build, engine, inspected, require_tools
from tests.end_to_end.conftest import Upstream
from tests.support.waiting import wait_until
from tests.testbed.server import free_port

pytestmark = pytest.mark.timeout(600)

#: Shutdown grace of these workers in seconds; the container is killed some seconds later.
GRACE = 10
#: Maximum size of the image in megabytes, its base included.
SIZE_LIMIT = 380
LOCKED_DOWN = ("--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=512m")


@pytest.fixture(scope="session", autouse=True)
def image() -> None:
    require_tools()
    base()
    build()


def run(*arguments: str, options: tuple[str, ...] = ("--network=none",)) -> str:
    """Run a locked-down container to its end; return its output."""
    return engine("podman", "run", *LOCKED_DOWN, "--tmpfs=/tmp", *options, IMAGE, *arguments).stdout


def test_dockerfile_passes_the_checks_when_linted() -> None:
    hadolint = ROOT / ".venv/bin/hadolint"
    program = str(hadolint) if hadolint.exists() else shutil.which("hadolint")
    assert program, "hadolint is missing: make .venv/dev.stamp"
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_botocore_data_is_present_when_s3_is_used() -> None:
    """The image contains the data that botocore reads for S3, and those of no other service."""
    ask = (
        "from botocore.session import get_session; print(get_session().get_service_model('s3').service_name)"
    )
    options = ("--network=none", "--entrypoint=/opt/kyb/bin/python")
    assert run("-c", ask, options=options).strip() == "s3"


def test_image_has_its_size_user_and_labels_when_inspected(
    record_property: Callable[[str, object], None],
) -> None:
    image = inspected()
    megabytes = image["Size"] / 1e6
    record_property("summary", f"image: {megabytes:.0f} MB, {len(image['RootFS']['Layers'])} layer(s)")
    assert megabytes < SIZE_LIMIT
    assert image["Config"]["User"] == "10001:10001"
    assert image["Config"]["Entrypoint"] == ["kyb"]
    labels = image["Config"]["Labels"]
    names = ("title", "description", "licenses", "version", "revision")
    assert all(labels.get(f"org.opencontainers.image.{name}") for name in names)


def test_image_contains_no_build_tools_when_searched() -> None:
    code = """
import json, os, pathlib, shutil
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
def written(path):
    try: pathlib.Path(path).write_text("x")
    except OSError: return False
    return True
print(json.dumps({
    "uid": os.getuid(), "gid": os.getgid(), "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "tools": [t for t in ("apt", "apt-get", "dpkg", "pip", "pip3", "gcc", "cc", "make", "perl", "curl") if shutil.which(t)],
    "modules": [m for m in ("pip", "setuptools", "ensurepip") if __import__("importlib.util").util.find_spec(m)],
    "written": [p for p in ("/x", "/data/x", "/opt/kyb/x", "/etc/passwd", "/tmp/x") if written(p)],
    "setuid": [str(p) for p in pathlib.Path("/usr").rglob("*") if p.is_file() and not p.is_symlink() and p.stat().st_mode & 0o6000],
}))
"""
    report = json.loads(run("-c", code, options=("--network=none", "--entrypoint=python3")))
    assert report == {
        "uid": 10001, "gid": 10001, "capabilities": 0, "tools": [], "modules": [], "written": ["/tmp/x"], "setuid": [],  # noqa: S108 - the one place
    }  # fmt: skip


def test_tables_are_written_when_any_format_is_requested() -> None:
    code = "import pyarrow.parquet as p, pyarrow as a; p.write_table(a.table({'a': [1]}), '/tmp/x'); print(p.read_table('/tmp/x').num_rows)"
    assert run("-c", code, options=("--network=none", "--entrypoint=python3")) == "1\n"


def test_demo_completes_when_it_has_no_network_and_no_disk() -> None:
    output = run("demo", "--job-seconds", "0.2", options=("--network=none", "--workdir=/tmp"))
    assert output.count("completed") >= 4, output


@pytest.fixture
def environment(sandbox: Sandbox, amqp_url: str, postgres_url: str) -> dict[str, str]:
    return sandbox.environment() | {
        "KYB_BROKER_URL": amqp_url,
        "KYB_LEDGER_URL": postgres_url,
        "KYB_POLLING__MIN_DELAY": "0.1",
        "KYB_POLLING__MAX_DELAY": "0.3",
        "KYB_WORKER__SHUTDOWN_GRACE": f"{GRACE}s",
        "KYB_HTTP__HOST": "127.0.0.1",
        "KYB_HTTP__PORT": str(free_port()),
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder for inputs and results that the image's user may write."""
    for name in ("in", "out"):
        (tmp_path / name).mkdir()
        os.chown(tmp_path / name, 10001, 10001)
    (tmp_path / "in/companies.csv").write_text("name\nAcme\n")
    for folder in (tmp_path, *tmp_path.parents[:3]):
        with contextlib.suppress(PermissionError):
            folder.chmod(0o755)
    return tmp_path


@pytest.fixture
def container(environment: dict[str, str], data: Path) -> Iterator[str]:
    """A worker in the host's network, where RabbitMQ, PostgreSQL and the sandbox run."""
    options = ["--network=host", f"--volume={data}:/data:rw"]
    options += [f"--env={name}={value}" for name, value in environment.items()]
    run("ledger", "upgrade", options=tuple(options))
    name = f"kyb-check-{uuid.uuid4().hex[:8]}"
    engine("podman", "run", "--detach", f"--name={name}", *LOCKED_DOWN[1:], "--tmpfs=/tmp", *options, IMAGE)
    yield name
    engine("podman", "rm", "--force", "--time=0", name, check=False)


def test_worker_completes_a_job_and_stops_within_its_grace_when_terminated(
    container: str, environment: dict[str, str], amqp_url: str, data: Path
) -> None:
    probes = f"http://127.0.0.1:{environment['KYB_HTTP__PORT']}"

    def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{probes}/readyz", trust_env=False).status_code == 200
        return False

    wait_until(ready, 60.0, lambda: logs(container))
    assert httpx.get(f"{probes}/livez", trust_env=False).status_code == 200
    upstream = Upstream(amqp_url)
    inputs = {"Companies": {"file": "/data/in/companies.csv"}}
    upstream.command("job", "data8.start_job", workflow="Echo", inputs=inputs)
    events = upstream.await_events(
        lambda seen: bool(seen) and seen[-1]["type"].endswith((".completed", ".failed"))
    )
    upstream.connection.close()
    assert events[-1]["type"] == "data8.start_job.completed", events[-1]
    [output] = events[-1]["data"]["result"]["outputs"].values()
    assert output["uri"].startswith("file:///data/out/job/")
    assert (data / output["uri"].removeprefix("file:///data/")).stat().st_uid == 10001

    began = time.monotonic()
    engine("podman", "stop", f"--time={GRACE + 5}", container)
    seconds = time.monotonic() - began
    state = json.loads(engine("podman", "inspect", container).stdout)[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert seconds < GRACE


def logs(container: str) -> str:
    done = engine("podman", "logs", container, check=False)
    return str(done.stdout + done.stderr)
