"""A job with its input on an SFTP server and its result on S3."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.end_to_end.conftest import Upstream, Workers
from tests.testbed.openssh import OpenSSH
from tests.testbed.seaweedfs import KEY, SECRET, SeaweedFS
from workers.ledger.database import Database

CONTENT = 'name,town\r\n"Smith, Jones & Co",Vevey\r\nトヨタ自動車株式会社,豊田市\r\n'.encode()


@pytest.fixture
def ledger_url(sqlite_url: str) -> str:
    database = Database(sqlite_url)
    database.upgrade()
    database.close()
    return sqlite_url


@pytest.fixture
def roots(workers: Workers, sftp: OpenSSH, s3: SeaweedFS) -> tuple[str, str]:
    """The URIs of inputs and results, configured before the first worker starts."""
    inputs, folder = sftp.fresh_root()
    (folder / "companies.csv").write_bytes(CONTENT)
    access = sftp.access()
    results = s3.fresh_root()
    workers.environment |= {
        "KYB_STORAGE__INPUTS": inputs,
        "KYB_STORAGE__RESULTS": results,
        "KYB_STORAGE__SFTP__USERNAME": str(access.username),
        "KYB_STORAGE__SFTP__PRIVATE_KEY": str(access.private_key),
        "KYB_STORAGE__SFTP__KNOWN_HOSTS": str(access.known_hosts),
        "KYB_STORAGE__S3__KEY": KEY,
        "KYB_STORAGE__S3__SECRET": SECRET,
        "KYB_STORAGE__S3__ENDPOINT_URL": s3.url,
        "KYB_STORAGE__S3__REGION": "us-east-1",
        "KYB_LOG__LEVEL": "debug",
    }
    return inputs, results


def test_job_reads_from_sftp_and_writes_to_s3_when_both_are_configured(
    roots: tuple[str, str],
    upstream: Upstream,
    workers: Workers,
    s3: SeaweedFS,
    capfd: pytest.CaptureFixture[str],
) -> None:
    inputs, results = roots

    def start(id: str, uri: str) -> None:
        upstream.command(id, "data8.start_job", workflow="Echo", inputs={"A": {"file": uri}})

    start("job-1", f"{inputs}/companies.csv")
    start("job-2", f"{inputs}/none.csv")
    start("job-3", f"{inputs}/../companies.csv")

    def ended(events: list[dict[str, Any]]) -> bool:
        return {e["subject"] for e in events if "error" in e["data"] or "result" in e["data"]} == {
            "job-1",
            "job-2",
            "job-3",
        }

    events = {
        e["subject"]: e for e in upstream.await_events(ended) if "error" in e["data"] or "result" in e["data"]
    }
    [output] = events["job-1"]["data"]["result"]["outputs"].values()
    assert output == {
        "uri": f"{results}/job-1/{output['uri'].rpartition('/')[2]}",
        "media_type": "text/csv",
        "records": 2,
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert s3.files().cat_file(output["uri"]) == CONTENT
    assert s3.files().find(results) == [output["uri"].removeprefix("s3://")]
    codes = {id: events[id]["data"]["error"]["code"] for id in ("job-2", "job-3")}
    assert codes == {"job-2": "input_not_found", "job-3": "input_not_allowed"}
    assert workers.stop() == [0]
    output_and_events = capfd.readouterr().err + json.dumps(list(events.values()))
    assert SECRET not in output_and_events
    assert "Smith" not in output_and_events
    assert "AWS4-HMAC" not in output_and_events
