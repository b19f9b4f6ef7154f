"""`kyb vendors`: check the vendors' settings, and call any documented operation."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from clients.creditsafe import Creditsafe
from clients.data8 import Data8
from clients.errors import VendorError
from clients.sayari import Sayari
from workers.cli.arguments import parse_options
from workers.cli.bootstrap import settings
from workers.cli.console import error_line, print_json, print_table, printable, usage
from workers.cli.exit_codes import JOB_FAILED
from workers.cli.vendor_operations import as_json as json_of_answer
from workers.cli.vendor_operations import call as call_operation
from workers.cli.vendor_operations import describe_operations, get_operation
from workers.engine.client_factory import build_creditsafe_client, build_data8_client, build_sayari_client
from workers.settings import Settings, SettingsError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, help="The vendors' APIs."
)

Client = Creditsafe | Data8 | Sayari


class Vendor(StrEnum):
    """The vendors."""

    CREDITSAFE = "creditsafe"
    DATA8 = "data8"
    SAYARI = "sayari"


AsJson = Annotated[bool, typer.Option("--json", help="print one JSON document")]


@app.command()
def check(as_json: AsJson = False) -> None:
    """Fetch a token and make one read-only call at every vendor that has settings."""
    configured = settings()
    results = [
        _check_vendor(configured, vendor) for vendor in Vendor if getattr(configured, vendor) is not None
    ]
    if not results:
        raise SettingsError("no vendor has settings, see docs/reference/settings.md")
    if as_json:
        print_json(results)
    else:
        rows = [(r["vendor"], r["base_url"], "ok" if r["ok"] else r["error"], r["seconds"]) for r in results]
        print_table(("vendor", "address", "", "seconds"), rows, empty="")
    raise typer.Exit(0 if all(result["ok"] for result in results) else JOB_FAILED)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def call(
    context: typer.Context,
    vendor: Annotated[Vendor, typer.Argument()],
    operation: Annotated[str | None, typer.Argument(help="its name, e.g. portfolios.list")] = None,
    body: Annotated[
        str | None, typer.Option(help="JSON or @FILE: the body's members, or a file to send")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="write the answer there")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="do not ask before a call that changes something")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="list the vendor's operations")] = False,
    as_json: AsJson = False,
) -> None:
    """Call one documented operation; its parameters are given as --name value, the answer is JSON."""
    if list_:
        _list(vendor, as_json=as_json)
        return
    if operation is None or operation.startswith("-"):
        raise usage("name an operation, or give --list to see them")
    options = parse_options(context.args)
    with _client(settings(), vendor) as client:
        info = get_operation(client, operation)
        if info.method != "GET" and not yes and sys.stdin.isatty():
            typer.confirm(f"{vendor} {info.method} {info.path}: go on?", abort=True, err=True)
        try:
            answer = json_of_answer(call_operation(info, options, body, output))
        except VendorError as error:
            error_line(f"kyb: {printable(error)}")
            raise typer.Exit(JOB_FAILED) from None
    if output is None:
        print_json(answer)
    elif answer is not None:
        output.write_text(json.dumps(answer, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _list(vendor: Vendor, *, as_json: bool) -> None:
    with _offline_client(vendor) as client:
        operations = describe_operations(client)
    if as_json:
        print_json(operations)
        return
    rows = [(o["operation"], o["method"], o["path"], _parameter_names(o["parameters"])) for o in operations]
    print_table(("operation", "method", "path", "parameters"), rows, empty="")


def _parameter_names(parameters: list[dict[str, Any]]) -> str:
    return " ".join(p["name"] if p["required"] else f"[{p['name']}]" for p in parameters)


@contextmanager
def _client(configured: Settings, vendor: Vendor) -> Iterator[Client]:
    builders: dict[Vendor, Callable[[Any], Client]] = {
        Vendor.CREDITSAFE: build_creditsafe_client,
        Vendor.DATA8: build_data8_client,
        Vendor.SAYARI: build_sayari_client,
    }
    vendor_settings = getattr(configured, vendor)
    if vendor_settings is None:
        raise SettingsError(
            f"KYB_{vendor.upper()}__…: no settings for {vendor}, see docs/reference/settings.md"
        )
    client = builders[vendor](vendor_settings)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _offline_client(vendor: Vendor) -> Iterator[Client]:
    """Yield a client for `--list`, which needs no settings and makes no call."""
    address = "http://localhost"
    client: Client
    match vendor:
        case Vendor.CREDITSAFE:
            client = Creditsafe.connect(address, "", "")
        case Vendor.DATA8:
            client = Data8.connect(address, address)
        case Vendor.SAYARI:
            client = Sayari.connect(address, "", "")
    try:
        yield client
    finally:
        client.close()


def _check_vendor(configured: Settings, vendor: Vendor) -> dict[str, Any]:
    started = time.monotonic()
    error = None
    with _client(configured, vendor) as client:
        try:
            _call_read_only(client)
        except VendorError as failure:
            error = printable(failure)
    return {
        "vendor": vendor.value,
        "base_url": getattr(configured, vendor).base_url,
        "ok": error is None,
        "error": error,
        "seconds": round(time.monotonic() - started, 2),
    }


def _call_read_only(client: Client) -> None:
    """Make one read-only call that every account may make; it fetches a token."""
    if isinstance(client, Creditsafe):
        client.portfolios.list(page_size=1)
    elif isinstance(client, Data8):
        client.jobs.list()
    else:
        client.sources.list(limit=1)
