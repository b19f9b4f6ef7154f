"""`python -m benchmarks.storage`: read an input and write a result on each kind of storage, all on this machine.

Prints the time of each as a multiple of the local one's in the same run, and the memory that it took.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from tests.testbed.files import FileServer, Page
from tests.testbed.openssh import OpenSSH
from tests.testbed.seaweedfs import KEY, SECRET, SeaweedFS
from workers.files.storage import Storage
from workers.settings import StorageSettings

MIB = 1024 * 1024
SIZES = (16, 128)  # MiB
BLOCK = bytes(range(256)) * 256


def main() -> None:
    """Run all in processes of their own, so that the memory is theirs."""
    with ExitStack() as servers, tempfile.TemporaryDirectory() as folder:
        s3 = servers.enter_context(closing(SeaweedFS()))
        s3.start()
        sftp = servers.enter_context(closing(OpenSSH()))
        sftp.start()
        web = servers.enter_context(closing(FileServer(None)))
        inputs, lies = sftp.fresh_root()
        for size in SIZES:
            content = BLOCK * (size * MIB // len(BLOCK))
            web.pages[f"/in/{size}"] = Page(content)
            for path in (lies / str(size), Path(folder) / str(size)):
                path.write_bytes(content)
            s3.files().pipe_file(f"tests/in/{size}", content)
        access = sftp.access()
        settings = StorageSettings.model_validate(
            {
                "inputs": ",".join([folder, inputs, "s3://tests/in", f"http://127.0.0.1:{web.port}/in"]),
                "s3": {"key": KEY, "secret": SECRET, "endpoint_url": s3.url, "region": "us-east-1"},
                "sftp": access.model_dump(),
            }
        )
        places = {
            "local": folder,
            "s3": "s3://tests/in",
            "sftp": inputs,
            "web": f"http://127.0.0.1:{web.port}/in",
        }
        say(f"{'':6} {'MiB':>5} {'read':>8} {'memory':>9} {'write':>8} {'memory':>9}")
        for size in SIZES:
            local: dict[str, float] = {}
            for name, root in places.items():
                line = f"{name:6} {size:5}"
                for work in ("read", "write") if name != "web" else ("read",):
                    seconds, memory = apart(settings, work, f"{root}/{size}", root)
                    local.setdefault(work, seconds)
                    line += f" {seconds / local[work]:7.1f}x {memory:5.0f} MiB"
                say(line)


def apart(settings: StorageSettings, work: str, uri: str, root: str) -> tuple[float, float]:
    """Seconds, and MiB of memory at most beyond those of a process that does nothing."""
    plain = settings.model_copy(update={"results": f"{root}-out" if work == "write" else "./results"})
    values = plain.model_dump(mode="json")
    values["s3"]["secret"] = SECRET
    variables = {
        f"KYB_STORAGE__{part.upper()}__{key.upper()}": str(value)
        for part in ("s3", "sftp")
        for key, value in values[part].items()
        if value is not None
    }
    variables |= {"KYB_STORAGE__INPUTS": plain.inputs, "KYB_STORAGE__RESULTS": plain.results}
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "benchmarks.storage", work, uri],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def one(work: str, uri: str) -> None:
    """Do one of them and print what it took."""
    from workers.settings import load  # noqa: PLC0415

    storage = Storage.of(load().storage)
    tasks: dict[str, Callable[[Storage, str], None]] = {"read": read, "write": write}
    size = int(uri.rpartition("/")[2])
    tasks[work](storage, uri.removesuffix(str(size)) + "16")  # connections, and what is loaded once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    tasks[work](storage, uri)
    seconds = time.perf_counter() - started
    say(f"{seconds} {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}")


def read(storage: Storage, uri: str) -> None:
    """An input, from its beginning to its end."""
    with storage.open(uri) as stream:
        while stream.read(len(BLOCK)):
            pass


def write(storage: Storage, uri: str) -> None:
    """A result in appends of a MiB, and its publication."""
    size = int(uri.rpartition("/")[2])
    draft, offset = storage.draft("job", str(size)), 0
    for _ in range(size):
        with draft.append(offset) as stream:
            for _ in range(MIB // len(BLOCK)):
                stream.write(BLOCK)
            offset = stream.tell()
    draft.publish("application/octet-stream", None)


def say(line: str) -> None:
    """Print a line."""
    print(line, flush=True)  # noqa: T201 - a command's output


if __name__ == "__main__":
    one(*sys.argv[1:]) if sys.argv[1:] else main()
