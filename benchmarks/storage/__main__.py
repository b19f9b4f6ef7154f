"""`python -m benchmarks.storage`: read an input and write a result on each kind of storage, all on this machine.

`--write FOLDER` writes the table into `storage.md` there. Times are multiples of the local disk's in the same run.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from benchmarks import page
from tests.testbed.files import FileServer, Page
from tests.testbed.openssh import OpenSSH
from tests.testbed.seaweedfs import KEY, SECRET, SeaweedFS
from workers.files.storage import Storage
from workers.settings import StorageSettings

MIB = 1024 * 1024
SIZES_MIB = (16, 128)
BLOCK = bytes(range(256)) * 256


def main() -> None:
    """Measure every storage, or do one piece of work, as the processes of a run do."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__)
    parser.add_argument("work", nargs="?", choices=["read", "write"], help="do this alone")
    parser.add_argument("uri", nargs="?", help="and with this file")
    parser.add_argument("--write", type=Path, help="folder of storage.md")
    options = parser.parse_args()
    if options.work is not None:
        do(options.work, options.uri)
        return
    with storages() as (settings, roots):
        text = "\n".join([f"{page.stamp()}, two cores.", "", *table(settings, roots)])
    say(text)
    if options.write is not None:
        page.write(options.write / "storage.md", "storage", text)


@contextmanager
def storages() -> Iterator[tuple[StorageSettings, dict[str, str]]]:
    """Start the servers with the input files; yield the settings, and the root of each storage."""
    with ExitStack() as servers, tempfile.TemporaryDirectory() as folder:
        s3 = servers.enter_context(closing(SeaweedFS()))
        s3.start()
        sftp = servers.enter_context(closing(OpenSSH()))
        sftp.start()
        web = servers.enter_context(closing(FileServer(None)))
        inputs, sftp_folder = sftp.fresh_root()
        for size in SIZES_MIB:
            content = BLOCK * (size * MIB // len(BLOCK))
            web.pages[f"/in/{size}"] = Page(content)
            for path in (sftp_folder / str(size), Path(folder) / str(size)):
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
        yield (
            settings,
            {
                "local": folder,
                "S3": "s3://tests/in",
                "SFTP": inputs,
                "HTTP": f"http://127.0.0.1:{web.port}/in",
            },
        )


def table(settings: StorageSettings, roots: Mapping[str, str]) -> list[str]:
    """Return a table with a row per storage and size."""
    lines = [
        "| storage | MiB | read, × local | memory, MiB | write, × local | memory, MiB |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for size in SIZES_MIB:
        local: dict[str, float] = {}
        for name, root in roots.items():
            cells = [name, str(size)]
            for work in ("read", "write"):
                if name == "HTTP" and work == "write":
                    cells += ["", ""]
                    continue
                seconds, memory = measure(settings, work, f"{root}/{size}", root)
                local.setdefault(work, seconds)
                cells += [f"{seconds / local[work]:.1f}", f"{memory:.0f}"]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def measure(settings: StorageSettings, work: str, uri: str, root: str) -> tuple[float, float]:
    """Return the seconds, and the growth of peak memory in MiB, of one piece of work in a process of its own."""
    changed = settings.model_copy(update={"results": f"{root}-out" if work == "write" else "./results"})
    values = changed.model_dump(mode="json")
    values["s3"]["secret"] = SECRET
    variables = {
        f"KYB_STORAGE__{part.upper()}__{key.upper()}": str(value)
        for part in ("s3", "sftp")
        for key, value in values[part].items()
        if value is not None
    }
    variables |= {"KYB_STORAGE__INPUTS": changed.inputs, "KYB_STORAGE__RESULTS": changed.results}
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "benchmarks.storage", work, uri],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def do(work: str, uri: str) -> None:
    """Do one piece of work, and print its seconds and the growth of peak memory in MiB."""
    from workers.settings import load  # noqa: PLC0415

    storage = Storage.of(load().storage)
    tasks: dict[str, Callable[[Storage, str], None]] = {"read": read, "write": write}
    size = int(uri.rpartition("/")[2])
    tasks[work](storage, uri.removesuffix(str(size)) + "16")  # warms up connections and imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    tasks[work](storage, uri)
    seconds = time.perf_counter() - started
    say(f"{seconds} {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}")


def read(storage: Storage, uri: str) -> None:
    """Read an input from beginning to end."""
    with storage.open(uri) as stream:
        while stream.read(len(BLOCK)):
            pass


def write(storage: Storage, uri: str) -> None:
    """Write a result in appends of a MiB, and publish it."""
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
    print(line, flush=True)  # noqa: T201 - the output of this command


if __name__ == "__main__":
    main()
