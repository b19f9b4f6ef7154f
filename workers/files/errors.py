"""Errors of inputs, as storage and formats raise them: what an event says of them is decided elsewhere."""

from __future__ import annotations


class InputError(Exception):
    """An input that cannot be used; another attempt does not help.

    Attributes:
        message: what is wrong and what to do about it, in one sentence, without any record's contents.
        detail: more of the same; may show a value of the input, so it is never logged.
    """

    def __init__(self, message: str, detail: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class InputNotFound(InputError):
    """There is no such file, or it may not be read."""


class InputInvalid(InputError):
    """The file is there, but its content cannot be used."""


class InputNotAllowed(InputError, ValueError):
    """The URI is not one that a message may name: its command is rejected."""
