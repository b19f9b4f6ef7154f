"""`kyb sandbox` prints settings that work, until it is interrupted."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx

from sandbox import Sandbox
from tests.support.cli import Kyb, kyb_process
from tests.support.waiting import wait_for_line


def test_prints_settings_of_what_it_serves(home: Path) -> None:
    with kyb_process("sandbox") as sandbox:
        line = wait_for_line(sandbox.stdout, "KYB_DATA8__BASE_URL")
        url = line.removeprefix("export KYB_DATA8__BASE_URL=").strip()
        wait_for_line(sandbox.stderr, "serving until Ctrl-C")
        assert httpx.get(f"{url}/Job").status_code == 401
        sandbox.send_signal(signal.SIGINT)
        assert sandbox.wait(10) == 0


def test_port_that_is_taken_is_wrong_usage(kyb: Kyb, sandbox: Sandbox) -> None:
    ended = kyb("sandbox", "--port", str(sandbox.port))
    assert ended.code == 2
    assert "cannot listen there" in ended.err
