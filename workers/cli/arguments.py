"""`--field value` arguments as the data of a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any, Literal

from pydantic import ValidationError

from messages.base import Command
from messages.envelope import field_errors, read_json
from workers.cli.console import usage

Path = tuple[str, ...]
#: The text of an option, or True for an option without one.
OptionValue = str | Literal[True]


def parse_json(option: str, text: str) -> Any:
    """Return the value of `--data JSON` or `--data @FILE`. Raises `typer.BadParameter`."""
    try:
        return read_json(FilePath(text[1:]).read_bytes() if text.startswith("@") else text.encode())
    except OSError as error:
        raise usage(f"{option}: {text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise usage(f"{option}: {error}") from None


def parse_options(arguments: Sequence[str]) -> dict[str, OptionValue]:
    """Parse `--a b --c.d=e --f` to `{"a": "b", "c.d": "e", "f": True}`. Raises `typer.BadParameter`."""
    options: dict[str, OptionValue] = {}
    for name, value in _pairs(arguments):
        if not all(name.split(".")):
            raise usage(f"--{name}: not a field's name")
        if name in options:
            raise usage(f"--{name} is given twice; give a list as JSON: --{name} '[…, …]'")
        options[name] = value
    return options


def build_data(command: type[Command], base: Any, options: Mapping[str, OptionValue]) -> dict[str, Any]:
    """Return the command's data: `base`, with each option set at the path that its dots name.

    A value stays text where the field takes text, and is read as JSON where it does not. A field without a value
    is true, not text: a forgotten value or an unset shell variable must not become a name.

    Raises:
        typer.BadParameter: The data is invalid; the message has one line for each field.
    """
    if not isinstance(base, dict):
        raise usage("--data must be a JSON object")
    by_path = {_path(command, name): value for name, value in options.items()}
    texts = _merged(base, by_path)
    invalid = _invalid_paths(command, texts)
    values = {path: _value(value) if _is_invalid(path, invalid) else value for path, value in by_path.items()}
    data = _merged(base, values)
    try:
        command.model_validate(data)
    except ValidationError as error:
        lines = [f"{e.field or command.type_}: {e.message}" for e in field_errors(error)]
        raise usage(f"{command.type_} cannot be sent so:\n" + "\n".join(lines)) from None
    return data


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, OptionValue]]:
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if not argument.startswith("--"):
            raise usage(f"{argument}: expected --field value")
        name, equals, value = argument[2:].partition("=")
        if equals:
            yield name, value
        else:
            yield name, rest.pop(0) if rest and not rest[0].startswith("--") else True


def _path(command: type[Command], name: str) -> Path:
    """Return an option's path: `--portfolio-id` means `portfolio_id`; names after the first dot stay as they are."""
    head, *tail = name.split(".")
    known = {field.alias or name for name, field in command.model_fields.items()}
    return (head if head in known else head.replace("-", "_"), *tail)


def _merged(base: dict[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    data = dict(base)
    for path, value in values.items():
        *folders, last = path
        place = data
        for folder in folders:
            inner = place.get(folder, {})
            if not isinstance(inner, dict):
                raise usage(f"--{'.'.join(path)}: {folder} is given as a whole already")
            place[folder] = place = dict(inner)
        place[last] = value
    return data


def _invalid_paths(command: type[Command], data: dict[str, Any]) -> list[Path]:
    try:
        command.model_validate(data)
    except ValidationError as error:
        return [tuple(map(str, e["loc"])) for e in error.errors(include_input=False, include_url=False)]
    return []


def _is_invalid(path: Path, invalid: Sequence[Path]) -> bool:
    return any(path == place[: len(path)] for place in invalid)


def _value(text: OptionValue) -> Any:
    if text is True:
        return True
    try:
        return read_json(text.encode())
    except ValueError:
        return text
