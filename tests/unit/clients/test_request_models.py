"""Validation errors of requests do not repeat values, which may be personal data or secrets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ValidationError

import clients.creditsafe.models
import clients.data8.models
import clients.sayari.requests
from clients.sayari import UploadEntity

BASES: list[type[BaseModel]] = [
    clients.creditsafe.models.Body,
    clients.data8.models.Body,
    clients.sayari.requests._Request,
]


def below(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from below(model)


REQUESTS = [model for base in BASES for model in below(base)]


@pytest.mark.parametrize("model", REQUESTS, ids=[f"{m.__module__}.{m.__name__}" for m in REQUESTS])
def test_errors_repeat_no_values(model: type[BaseModel]) -> None:
    wrong = {name: {"Ada": "Lovelace"} for name in [*model.model_fields, "unheard_of"]}
    with pytest.raises(ValidationError) as refused:
        model.model_validate(wrong)
    assert "Lovelace" not in str(refused.value)


def test_an_entity_without_attributes_is_refused_in_words() -> None:
    with pytest.raises(ValidationError, match="at least one attribute"):
        UploadEntity()
