"""`python -m tests.support.new_command data8.archive_dataset`: write the files of a new command, red until filled.

Four files are to be filled: the command's class with its example, the job function, the scenario and the page. The
entry of the job function in `workers/jobs/catalogue.py` is complete as written.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from messages.catalogue import COMMANDS

VENDORS = ("creditsafe", "data8", "sayari")
TODO = "TODO"


def main() -> int:
    """Return the exit status: 0 when the files are written, 2 for a name that cannot be used."""
    parser = argparse.ArgumentParser(prog="make new-command", description=__doc__)
    parser.add_argument("name", help="the command's type, e.g. data8.archive_dataset")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the checkout")
    arguments = parser.parse_args()
    try:
        written = write_command(arguments.root, arguments.name)
    except ValueError as error:
        print(f"make new-command: {error}", file=sys.stderr)  # noqa: T201 - a command's message
        return 2
    print("Fill these files; docs/how-to/add-a-command.md says how:", *written, sep="\n  ")  # noqa: T201
    return 0


def write_command(root: Path, type_: str) -> list[Path]:
    """Write the files of the command `type_` below `root`; return the four that are to be filled.

    Raises:
        ValueError: it is no name of a vendor's command, or there is such a command.
    """
    if not re.fullmatch(rf"({'|'.join(VENDORS)})\.[a-z][a-z0-9]*(_[a-z0-9]+)*", type_):
        raise ValueError(f"{type_}: must be <vendor>.<verb>_<object>, with {', '.join(VENDORS)} as vendor")
    if type_ in COMMANDS:
        raise ValueError(f"{type_}: there is such a command")
    vendor, _, name = type_.partition(".")
    class_name = "".join(word.capitalize() for word in name.split("_"))
    message = root / "messages" / f"{vendor}.py"
    message.write_text(_with_classes(message.read_text(), type_, class_name))
    catalogue = root / "workers" / "jobs" / "catalogue.py"
    catalogue.write_text(_with_entry(catalogue.read_text(), vendor, name, class_name))
    job = root / "workers" / "jobs" / vendor / f"{name}.py"
    job.write_text(_JOB.format(type=type_, vendor=vendor, name=name, class_name=class_name))
    scenario = root / "tests" / "commands" / vendor / f"{name}.py"
    scenario.write_text(_SCENARIO.format(type=type_))
    page = root / "docs" / "reference" / "commands" / f"{type_}.md"
    page.write_text(_PAGE.format(type=type_))
    return [path.relative_to(root) for path in (message, job, scenario, page)]


def _with_classes(module: str, type_: str, class_name: str) -> str:
    """Return the messages module with the classes of the command, listed in its `COMMANDS`."""
    before, marker, after = module.partition("COMMANDS: tuple[type[Command], ...] = (")
    if not marker:
        raise ValueError(f"the messages of {type_.partition('.')[0]} list no COMMANDS")
    classes = _CLASSES.format(type=type_, class_name=class_name)
    names, _, rest = after.partition(")")
    return f"{before}{classes}{marker}{names.rstrip().rstrip(',')}, {class_name}){rest}"


def _with_entry(catalogue: str, vendor: str, name: str, class_name: str) -> str:
    """Return the catalogue of job functions with the entry of the command."""
    imports = f"from messages.{vendor} import {class_name}\nfrom workers.jobs.{vendor}.{name} import {name}\n\n#: The job"
    return catalogue.replace("\n#: The job", imports, 1).replace(
        "\n}\n", f"\n    {class_name}.type_: {name},\n}}\n", 1
    )


_CLASSES = '''class {class_name}Result(Result):
    """TODO: say in one line what the job produced."""

    dataset: str


class {class_name}(Command):
    """TODO: say in one line what the command does."""

    type_ = "{type}"
    result = {class_name}Result

    dataset: str

    @classmethod
    def example(cls) -> tuple[Self, {class_name}Result]:
        """Return an example of the command and of its result."""
        return cls(dataset="TODO"), {class_name}Result(dataset="TODO")


'''

_JOB = '''"""The command `{type}`."""

from __future__ import annotations

from messages.{vendor} import {class_name}, {class_name}Result
from workers.engine.context import Run
from workers.engine.registry import Services


def {name}(command: {class_name}, run: Run, services: Services) -> {class_name}Result:
    """TODO: say in one line what the job does."""
    raise NotImplementedError("act through run.once, run.poll and run.transfer, then return the result")
'''

_SCENARIO = '''"""Scenario of `{type}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sandbox import Sandbox
from tests.support.scenario import Scenario


def data(folder: Path, sandbox: Sandbox) -> dict[str, Any]:
    raise NotImplementedError("make what the command needs at the vendor, and return its data")


SCENARIO = Scenario("{type}", data)
'''

_PAGE = """# `{type}`

TODO: say in one line what the command does.

## What it does

| step | call | what it does |
| --- | --- | --- |
| TODO | | |

## Command

<!-- generated: command -->
<!-- /generated -->

```json
TODO: the example, as docs/contract has it
```

## Result

<!-- generated: result -->
<!-- /generated -->

## Progress

TODO

## Events

<!-- generated: events -->
<!-- /generated -->

```json
TODO: the events of a run against the sandbox
```

## Errors

TODO

## When an answer is lost

TODO
"""


if __name__ == "__main__":
    sys.exit(main())
