"""The error codes of events."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from messages.base import Model


class Code(StrEnum):
    """Why a command was rejected or a job failed."""

    INVALID_COMMAND = "invalid_command"
    ID_CONFLICT = "id_conflict"
    INPUT_NOT_ALLOWED = "input_not_allowed"
    INPUT_NOT_FOUND = "input_not_found"
    INPUT_INVALID = "input_invalid"
    VENDOR_AUTH = "vendor_auth"
    VENDOR_REJECTED = "vendor_rejected"
    VENDOR_FAILED = "vendor_failed"
    VENDOR_UNAVAILABLE = "vendor_unavailable"
    STALLED = "stalled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    OUTCOME_UNKNOWN = "outcome_unknown"
    INTERNAL_ERROR = "internal_error"

    @property
    def retryable(self) -> bool:
        """Whether `job.retry` may help; for `vendor_auth` and `outcome_unknown`, after a person has checked."""
        return self not in _FINAL


_FINAL = {
    Code.INVALID_COMMAND,
    Code.ID_CONFLICT,
    Code.INPUT_NOT_ALLOWED,
    Code.INPUT_NOT_FOUND,
    Code.INPUT_INVALID,
    Code.VENDOR_REJECTED,
}


class FieldError(Model):
    """What is wrong with one field of a command."""

    field: str = Field(description="dotted path, e.g. `data.portfolio.name`; empty for the whole message")
    """The path of the field, such as `data.portfolio.name`; empty for the whole message."""
    message: str
    """What is wrong with the field."""


class Error(Model):
    """The `error` of a `failed` or `rejected` event."""

    code: Code
    """The error code; see the table of errors."""
    message: str
    """What went wrong, for people."""
    detail: str | list[FieldError] | None = Field(
        default=None, description="the vendor's own words, or one entry per bad field"
    )
    """The vendor's own words, or one entry for each bad field."""
    vendor_status: int | None = Field(default=None, description="the vendor's HTTP status")
    """The HTTP status of the vendor's answer."""
    step: str | None = Field(default=None, description="the step of the job that failed")
    """The step of the job that failed."""
    retryable: bool
    """Whether `job.retry` may help."""
