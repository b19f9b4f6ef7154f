"""`kyb`: run a command, and turn expected errors into one line and an exit code."""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from workers.cli.exit_codes import describe_error
from workers.extras import importing

#: Every command, with the line that `kyb --help` shows of it. Its module is imported when it is called.
COMMANDS = {
    "demo": "Run the main jobs in one process, without configuration.",
    "worker": "Serve queues until stopped.",
    "submit": "Publish a command; --wait shows its progress and ends with its outcome.",
    "jobs": "List, show, cancel, retry, purge and erase jobs.",
    "events": "Follow or replay events.",
    "dlq": "List, show, redrive and discard dead letters.",
    "vendors": "Check the vendors' settings, or call any documented operation.",
    "sandbox": "Serve the three vendors' simulators on loopback.",
    "contract": "Write the JSON Schemas and the AsyncAPI document.",
    "ledger": "Create or migrate the ledger's tables; recover a restored ledger.",
}

#: Commands whose module has another path below `workers.cli.commands` than their name.
MODULES = {"demo": "demo.command"}


class LazyGroup(TyperGroup):
    """A command group that lists commands without importing them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - as typer calls it
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - as typer calls it
        """Return a placeholder for the command in `--help`."""
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import and return the command."""
        name, _, rest = super().resolve_command(ctx, args)
        gc.disable()  # imported objects stay; collections would cost a tenth of the time
        try:
            with importing("sandbox", f"kyb {name}"):
                module = import_module(f"workers.cli.commands.{MODULES.get(str(name), name)}")
            command = typer.main.get_command(module.app)
        finally:
            gc.enable()
        command.name = name
        return name, command, rest


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # one error on one line, however narrow the terminal
    help="Durable vendor jobs: Creditsafe DataStudio, Data8 and Sayari.",
    epilog="Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 cannot reach broker or ledger. "
    "Settings are environment variables KYB_…, see docs/reference/settings.md.",
)


@app.callback()
def _kyb() -> None:
    """Durable vendor jobs: Creditsafe DataStudio, Data8 and Sayari."""


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="kyb")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, e.g. `head`, has left
        sys.stdout = None
        sys.exit(0)
    except Exception as error:
        known = describe_error(error)
        if known is None:
            raise
        line, code = known
        print(f"kyb: {line}", file=sys.stderr)  # noqa: T201 - errors go to standard error
        sys.exit(code)


if __name__ == "__main__":
    main()
