"""`kyb sandbox` prints settings that work, until it is interrupted."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from sandbox import Sandbox
from tests.integration.cli.conftest import Kyb, process, until


def test_prints_settings_of_what_it_serves(home: Path) -> None:
    with process("sandbox") as sandbox:
        line = until(sandbox.stdout, "KYB_DATA8__BASE_URL")
        url = line.removeprefix("export KYB_DATA8__BASE_URL=").strip()
        until(sandbox.stderr, "serving until Ctrl-C")
        assert httpx.get(f"{url}/Job").status_code == 401
        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(10) == 0


def test_port_that_is_taken_is_wrong_usage(kyb: Kyb, sandbox: Sandbox) -> None:
    ended = kyb("sandbox", "--port", str(sandbox.port))
    assert ended.code == 2
    assert "cannot listen there" in ended.err
