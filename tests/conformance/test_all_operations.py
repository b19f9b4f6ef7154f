"""Every documented operation is there, says what it is, and was driven over the wire: 95 of 95.

The calls are those of the vendors' own tests, which also check queries and bodies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from clients.resource import list_operations
from sandbox import Sandbox
from sandbox.core import SandboxState
from tests.conformance.clients_of import VENDORS, connect
from tests.conformance.documented import OPERATIONS
from tests.support.sayari_client import Scene
from tests.unit.clients.creditsafe.test_creditsafe_operations import CASES, ROWS, Given
from tests.unit.clients.data8.test_data8_wire import TABLE
from tests.unit.clients.sayari.test_sayari_wire import SENT

Driven = tuple[str, Callable[[], object]]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(state=SandboxState(job_seconds=0, queue_seconds=0)) as sandbox:
        yield sandbox


def creditsafe(http: httpx.Client, sandbox: Sandbox) -> Iterator[Driven]:
    client = connect("creditsafe", sandbox, http)
    for case in CASES:
        portfolio = client.portfolios.create("Suppliers").portfolio_id
        record = client.records.create(portfolio, ROWS).records[0].record_id
        given = Given(
            portfolio,
            record,
            client.matching.start(portfolio).execution_id,
            client.duplicates.identify(portfolio, ["safeNumber"]).execution_id,
            client.enrichment.start(portfolio, ["general.companyName"]).execution_id,
        )
        yield case.name, lambda call=case.call, given=given: call(client, given)  # type: ignore[misc]


def data8(http: httpx.Client, sandbox: Sandbox) -> Iterator[Driven]:
    client = connect("data8", sandbox, http)
    for row in TABLE:
        yield row.operation, lambda call=row.call: call(client)  # type: ignore[misc]


def sayari(http: httpx.Client, sandbox: Sandbox) -> Iterator[Driven]:
    client = connect("sayari", sandbox, http)
    for name, sent in SENT.items():
        scene = Scene.at(client)
        yield name, lambda call=sent.call, scene=scene: call(client, scene)  # type: ignore[misc]


def test_the_table_is_whole() -> None:
    assert Counter(each.vendor for each in OPERATIONS) == {"creditsafe": 17, "data8": 35, "sayari": 43}
    assert len(set(OPERATIONS)) == 95


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_client_lists_exactly_what_is_documented(vendor: str, sandbox: Sandbox) -> None:
    client = connect(vendor, sandbox)
    listed = list(list_operations(client))
    assert {(each.name, each.method, each.path) for each in listed} == {
        (each.name, each.method, each.path) for each in OPERATIONS if each.vendor == vendor
    }
    assert len({each.name for each in listed}) == len(listed)
    for each in listed:
        assert re.fullmatch(r"[A-Z].+[.:;]", each.summary), f"{each.name} does not say what it does"
        assert each.summary.count("`") % 2 == 0, each.name
    assert "VendorError" in (type(client).__doc__ or ""), "the client does not say what it raises"
    client.close()


def test_every_operation_goes_over_the_wire(
    sandbox: Sandbox, record_property: Callable[[str, object], None]
) -> None:
    documented = {f"{each.vendor}.{each.name}": each for each in OPERATIONS}
    seen: set[str] = set()
    for vendor, drive in zip(VENDORS, (creditsafe, data8, sayari), strict=True):
        answers: list[httpx.Response] = []
        with httpx.Client(event_hooks={"response": [answers.append]}) as http:
            for name, call in drive(http, sandbox):
                operation = f"{vendor}.{name}"
                before = sandbox.state.calls[operation]
                call()
                request, status = answers[-1].request, answers[-1].status_code
                sent = request.url.raw_path.decode().partition("?")[0]
                wanted = documented[operation]
                path = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(f"/{vendor}{wanted.path}"))
                served = sandbox.state.calls[operation] == before + 1
                if request.method == wanted.method and re.fullmatch(path, sent) and served and status < 300:
                    seen.add(operation)
    record_property("summary", f"{len(seen)} of {len(documented)} documented operations driven over the wire")
    missing = sorted(documented.keys() - seen)
    assert not missing, f"{len(seen)} of {len(documented)}: these were not driven as documented"
