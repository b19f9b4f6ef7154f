"""What each field of a message means: read from the string below the field.

It is the convention of Sphinx and of pydantic's `use_attribute_docstrings`. That option is off since it would write the
strings into the exported schemas.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from pydantic import BaseModel

from messages.base import Model


def field_meanings(model: type[BaseModel]) -> dict[str, str]:
    """Return the meaning of each field of a model, by the field's name in JSON; empty for a field without one.

    A field without a string below it has the `description` of its schema.
    """
    documented: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            documented |= _attribute_docstrings(base)
    return {
        field.alias or name: documented.get(name, field.description or "")
        for name, field in model.model_fields.items()
    }


@cache
def models_by_name() -> dict[str, type[BaseModel]]:
    """Return every model of the messages by its class name, which is also its name in the schemas."""
    models: dict[str, type[BaseModel]] = {}
    for model in _subclasses(Model):
        if model.__module__.startswith("messages."):
            models.setdefault(model.__name__, model)
    return models


def _subclasses(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for subclass in model.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


@cache
def _attribute_docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the strings below the fields that a class itself defines."""
    source = ast.parse(textwrap.dedent(inspect.getsource(model)))
    class_body = source.body[0].body if isinstance(source.body[0], ast.ClassDef) else []
    documented = {}
    for field, below in pairwise(class_body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                documented[name] = " ".join(text.split())
    return documented
