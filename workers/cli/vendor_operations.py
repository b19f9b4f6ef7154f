"""Find any documented operation of a vendor by its name, list its parameters, and call it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_jsonable_python

from clients.resource import OperationInfo, Resource, list_operations
from messages.envelope import read_json
from workers.cli.arguments import OptionValue
from workers.cli.console import usage

#: The parameter that takes the file for the answer; `--output` sets it.
OUTPUT_PARAMETER = "to"


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation, and the part of the request that carries it."""

    name: str
    place: Literal["path", "query", "body", "header"]
    required: bool
    hint: Any
    takes_file: bool
    takes_sequence: bool

    def value(self, text: OptionValue) -> Any:
        """Convert an option's text to the parameter's type: text as it is, otherwise as JSON.

        Raises:
            typer.BadParameter: The parameter does not take the value.
        """
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(self.hint)
        except PydanticUserError:  # a hint that only type checkers understand
            adapter = TypeAdapter(dict[str, Any])
        if text is True:
            return self.checked(adapter, text)
        if text[:1] in {"[", "{"}:
            with suppress(ValueError):  # a list where one may be given, and text where none may
                return adapter.validate_python(read_json(text.encode()))
        try:
            return adapter.validate_python(text)
        except ValidationError:
            return self.checked(adapter, _json(f"--{self.name}", text))

    def checked(self, adapter: TypeAdapter[Any], value: Any) -> Any:
        """Return the validated value. Raises `typer.BadParameter` if the parameter does not take it."""
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise usage(f"--{self.name}: {error.errors()[0]['msg']}") from None


def get_operation(client: Resource, name: str) -> OperationInfo:
    """Return the operation called `name`. Raises `typer.BadParameter` that names similar operations."""
    operations = {operation.name: operation for operation in list_operations(client)}
    if name not in operations:
        similar = [
            other for other in operations if other.split(".")[0] == name.split(".", maxsplit=1)[0]
        ] or [*operations]
        raise usage(f"{name}: no such operation; there are {', '.join(similar)}")
    return operations[name]


def list_parameters(operation: OperationInfo) -> list[Parameter]:
    """Return the parameters of an operation, in the order of its method."""
    in_path = {_snake(part) for part in re.findall(r"\{(\w+)\}", operation.path)}
    rest: Literal["query", "body"] = "query" if operation.method in {"GET", "DELETE"} else "body"
    return [
        Parameter(
            parameter.name,
            "path" if parameter.name in in_path else "header" if parameter.name == "accept" else rest,
            parameter.required,
            parameter.hint,
            parameter.takes_file,
            parameter.takes_sequence,
        )
        for parameter in operation.parameters
    ]


def describe_operations(client: Resource) -> list[dict[str, Any]]:
    """Return all operations as `kyb vendors call --list --json` prints them."""
    return [
        {
            "operation": operation.name,
            "method": operation.method,
            "path": operation.path,
            "summary": operation.summary,
            "parameters": [
                {"name": parameter.name.rstrip("_"), "in": parameter.place, "required": parameter.required}
                for parameter in list_parameters(operation)
                if parameter.name != OUTPUT_PARAMETER
            ],
        }
        for operation in list_operations(client)
    ]


def call(
    operation: OperationInfo, options: Mapping[str, OptionValue], body: str | None, output: Path | None
) -> Any:
    """Call an operation and return its answer.

    Args:
        operation: the operation.
        options: arguments by name, in our spelling or the vendor's (`portfolioId`).
        body: JSON, or `@FILE` with JSON or with the file to send.
        output: path for an answer that is a file.

    Raises:
        typer.BadParameter: An argument is missing, unknown or invalid.
        VendorError: The call failed.
    """
    parameters = {parameter.name.rstrip("_"): parameter for parameter in list_parameters(operation)}
    with ExitStack() as files:
        arguments: dict[str, Any] = {}
        if body is not None:
            arguments |= _from_body(parameters, body, files)
        for option, text in options.items():
            parameter = parameters.get(_snake(option))
            if parameter is None or parameter.name == OUTPUT_PARAMETER:
                raise usage(f"--{option}: {operation.name} takes {', '.join(parameters) or 'nothing'}")
            arguments[parameter.name] = parameter.value(text)
        missing = [p.name for p in parameters.values() if p.required and p.name not in arguments]
        if missing:
            raise usage(f"{operation.name} needs {', '.join('--' + name for name in missing)}")
        if OUTPUT_PARAMETER in parameters and output is not None:
            arguments[OUTPUT_PARAMETER] = files.enter_context(_open_file(output, "wb"))
        try:
            return operation.invoke(**arguments)
        except ValueError as error:  # a check of the client, ValidationError included
            raise usage(f"{operation.name}: {_format_error(error)}") from None


def as_json(answer: Any) -> Any:
    """Convert an answer to JSON values under the vendor's names: only what the vendor sent; secrets stay masked."""
    if isinstance(answer, BaseModel):
        return as_json(answer.model_dump(by_alias=True, exclude_unset=True))
    if isinstance(answer, Mapping):
        return {str(key): as_json(value) for key, value in answer.items()}
    if isinstance(answer, (list, tuple)):
        return [as_json(value) for value in answer]
    if isinstance(answer, Decimal):
        return int(answer) if answer == answer.to_integral_value() else float(answer)
    return to_jsonable_python(answer)


def _from_body(parameters: Mapping[str, Parameter], body: str, files: ExitStack) -> dict[str, Any]:
    in_body = [p for p in parameters.values() if p.place == "body"]
    if not in_body:
        raise usage("--body: this operation has none")
    file_parameter = next((p for p in in_body if p.takes_file), None)
    if file_parameter is not None and body.startswith("@") and not body.endswith(".json"):
        return {file_parameter.name: files.enter_context(_open_file(Path(body[1:]), "rb"))}
    if body.startswith("@"):
        with _open_file(Path(body[1:]), "rb") as stream:
            value = _json("--body", stream.read().decode(errors="replace"))
    else:
        value = _json("--body", body)
    if isinstance(value, list):  # the body as a whole
        whole = next((p for p in in_body if not p.takes_file and p.takes_sequence), None)
        if whole is None:
            raise usage("--body: must be a JSON object")
        return {whole.name: whole.checked(TypeAdapter(whole.hint), value)}
    if not isinstance(value, dict):
        raise usage("--body: must be a JSON object")
    arguments = {}
    for key, member in value.items():
        parameter = parameters.get(_snake(key))
        if parameter is None or parameter.place != "body" or parameter.takes_file:
            raise usage(f"--body: {key}: the body takes {', '.join(p.name for p in in_body)}")
        arguments[parameter.name] = parameter.checked(TypeAdapter(parameter.hint), member)
    return arguments


def _open_file(path: Path, mode: Literal["rb", "wb"]) -> Any:
    try:
        return path.open(mode)
    except OSError as error:
        raise usage(f"{path}: {error.strerror}") from None


def _json(option: str, text: str) -> Any:
    try:
        return read_json(text.encode())
    except ValueError as error:
        raise usage(f"{option}: {error}") from None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).replace("-", "_").lower()


def _format_error(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)
        )
    return str(error)
