"""The base of Sayari's answers: documented fields are typed, others are kept, and nothing else is required.

Dates and timestamps stay text: Sayari's dates may lack day or month, and some do not exist at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Generic, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ModelWrapValidatorHandler
from pydantic import model_validator as validator

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


class Shape(BaseModel):
    """A JSON object of the vendor. Fields that we do not know are attributes too."""

    # There are many shapes: each is made ready when it is first met, not by every process that starts.
    model_config = ConfigDict(
        extra="allow", coerce_numbers_to_str=True, hide_input_in_errors=True, defer_build=True
    )

    #: No private attribute of pydantic's, which takes as long as all the rest of a shape: a page has hundreds.
    __slots__ = ("_given",)

    @validator(mode="wrap")
    @classmethod
    def _store_given(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        shape = handler(value)
        if isinstance(value, dict):
            object.__setattr__(shape, "_given", value)
        return shape

    @property
    def given(self) -> dict[str, Any]:
        """The object exactly as the vendor gave it."""
        return cast("dict[str, Any]", getattr(self, "_given", {}))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Nothing: contents are no matter for logs."""
        return ()


def _counts(value: Any) -> Any:
    """Counts come as a map or as pairs, depending on the operation."""
    return dict(value) if isinstance(value, list) else value or {}


#: A list; empty where the vendor gives none or null.
Many = Annotated[list[T], BeforeValidator(lambda value: value or []), Field(default_factory=list)]
#: An object by names; likewise.
Map = Annotated[dict[str, T], BeforeValidator(lambda value: value or {}), Field(default_factory=dict)]
#: A number for each name; likewise.
Counts = Annotated[dict[str, int], BeforeValidator(_counts), Field(default_factory=dict)]
#: A YYYY[-MM[-DD]] date. One documented example has a number in its place.
PartialDate = str


class Size(Shape):
    """The total; only an estimate if `qualifier` is `gte`."""

    count: int
    qualifier: str = "eq"


class TokenPage(Shape, Generic[T]):
    """A page that names the token of the next one, and of the previous one."""

    next: str | None = None
    prev: str | None = None
    limit: int | None = None
    size: Size | None = None
    data: Many[T]


class OffsetPage(Shape, Generic[T]):
    """A page by number of results skipped; `next` tells whether there are more."""

    next: bool = False
    offset: int = 0
    limit: int | None = None
    size: Size | None = None
    data: Many[T]


class Envelope(Shape, Generic[M]):
    """The wrapper of workspace answers around their object."""

    data: M
