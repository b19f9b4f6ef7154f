"""`kyb sandbox`: run the simulators of the three vendors in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from sandbox import Sandbox
from workers.cli.commands.worker import stop_event
from workers.cli.console import error_line
from workers.settings import SettingsError

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one")] = 0,
    name: Annotated[
        str | None, typer.Option(help="the host name by which other containers reach it; else loopback alone")
    ] = None,
) -> None:
    """Serve the three vendors' simulators until Ctrl-C; print the settings for a worker."""
    stopping = stop_event()
    try:
        served = Sandbox(port, name=name)
    except OSError as error:
        raise SettingsError(f"--port {port}: cannot listen there ({error.strerror})") from None
    with served:
        for variable, value in served.environment().items():
            print(f"export {variable}={value}", flush=True)  # noqa: T201 - to be read by a shell
        error_line("serving until Ctrl-C")
        stopping.wait()
