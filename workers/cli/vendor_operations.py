"""Any documented operation of a vendor by its name: finding it, its parameters, and calling it."""

from __future__ import annotations

import inspect
import re
import typing
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
from workers.cli.arguments import Given
from workers.cli.console import usage

#: The parameter that takes a file to write the answer to; `--output` gives it.
TO = "to"


@dataclass(frozen=True)
class Parameter:
    """One argument of an operation; `place` is where it travels."""

    name: str
    place: Literal["path", "query", "body", "header"]
    required: bool
    hint: Any

    @property
    def file(self) -> bool:
        """Whether it is the content of a file."""
        return "IO[bytes]" in str(self.hint)

    def value(self, text: Given) -> Any:
        """A text as what the parameter takes: as it is, or read as JSON; nothing is true. Raises wrong usage."""
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
        """The value, if it is one that the parameter takes. Raises wrong usage."""
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            raise usage(f"--{self.name}: {error.errors()[0]['msg']}") from None


def get_operation(client: Resource, name: str) -> OperationInfo:
    """The operation called `name`. Raises wrong usage that names those that are alike."""
    operations = {operation.name: operation for operation in list_operations(client)}
    if name not in operations:
        alike = [other for other in operations if other.split(".")[0] == name.split(".", maxsplit=1)[0]] or [
            *operations
        ]
        raise usage(f"{name}: no such operation; there are {', '.join(alike)}")
    return operations[name]


def list_parameters(operation: OperationInfo) -> list[Parameter]:
    """What the operation takes, in the order in which it takes it."""
    function = inspect.unwrap(operation.invoke)
    hints = typing.get_type_hints(function)
    in_path = {_snake(part) for part in re.findall(r"\{(\w+)\}", operation.path)}
    rest: Literal["query", "body"] = "query" if operation.method in {"GET", "DELETE"} else "body"
    found = []
    for name, parameter in list(inspect.signature(function).parameters.items())[2:]:
        required = parameter.default is inspect.Parameter.empty
        place = "path" if name in in_path else "header" if name == "accept" else rest
        found.append(Parameter(name, place, required, hints[name]))
    return found


def describe_operations(client: Resource) -> list[dict[str, Any]]:
    """All operations as `kyb vendors call --list --json` prints them."""
    return [
        {
            "operation": operation.name,
            "method": operation.method,
            "path": operation.path,
            "summary": operation.summary,
            "parameters": [
                {"name": parameter.name.rstrip("_"), "in": parameter.place, "required": parameter.required}
                for parameter in list_parameters(operation)
                if parameter.name != TO
            ],
        }
        for operation in list_operations(client)
    ]


def call(
    operation: OperationInfo, options: Mapping[str, Given], body: str | None, output: Path | None
) -> Any:
    """Call the operation.

    Args:
        operation: which.
        options: arguments by name; the document's spelling (`portfolioId`) will do too.
        body: JSON, or `@FILE` with JSON or with the file to send.
        output: where an answer that is a file goes.

    Raises wrong usage and `VendorError`.
    """
    parameters = {parameter.name.rstrip("_"): parameter for parameter in list_parameters(operation)}
    with ExitStack() as files:
        arguments: dict[str, Any] = {}
        if body is not None:
            arguments |= _from_body(parameters, body, files)
        for option, text in options.items():
            parameter = parameters.get(_snake(option))
            if parameter is None or parameter.name == TO:
                raise usage(f"--{option}: {operation.name} takes {', '.join(parameters) or 'nothing'}")
            arguments[parameter.name] = parameter.value(text)
        missing = [p.name for p in parameters.values() if p.required and p.name not in arguments]
        if missing:
            raise usage(f"{operation.name} needs {', '.join('--' + name for name in missing)}")
        if TO in parameters and output is not None:
            arguments[TO] = files.enter_context(_open_file(output, "wb"))
        try:
            return operation.invoke(**arguments)
        except ValueError as error:  # the client's own checks of what may be sent; ValidationError is one
            raise usage(f"{operation.name}: {_format_error(error)}") from None


def as_json(answer: Any) -> Any:
    """An answer as JSON values, by the vendor's names, as far as the vendor gave them; tokens stay hidden."""
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
    sent = next((p for p in in_body if p.file), None)
    if sent is not None and body.startswith("@") and not body.endswith(".json"):
        return {sent.name: files.enter_context(_open_file(Path(body[1:]), "rb"))}
    if body.startswith("@"):
        with _open_file(Path(body[1:]), "rb") as stream:
            value = _json("--body", stream.read().decode(errors="replace"))
    else:
        value = _json("--body", body)
    if isinstance(value, list):  # the body as a whole
        whole = next((p for p in in_body if not p.file and re.search("Sequence|Iterable", str(p.hint))), None)
        if whole is None:
            raise usage("--body: must be a JSON object")
        return {whole.name: whole.checked(TypeAdapter(whole.hint), value)}
    if not isinstance(value, dict):
        raise usage("--body: must be a JSON object")
    arguments = {}
    for key, member in value.items():
        parameter = parameters.get(_snake(key))
        if parameter is None or parameter.place != "body" or parameter.file:
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
