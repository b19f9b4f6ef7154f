"""Letting commands in: what is valid and may read what it names; the same for every broker."""

from __future__ import annotations

from messages.envelope import InvalidCommand, Request, parse
from messages.errors import Code, FieldError
from workers.files.errors import InputNotAllowed
from workers.files.storage import Storage
from workers.ledger.job_store import Acceptance, JobStore
from workers.ledger.records import Job
from workers.observability import tracing

#: A job may be scheduled so many days ahead: a wrong year is an error, not a job that nobody sees again.
SCHEDULE_AHEAD_DAYS = 366


class Admission:
    """Records valid commands as jobs, and what is wrong with the others as their `rejected` event.

    Args:
        jobs: where commands become jobs.
        storage: knows which inputs a command may name.
        deadline: seconds that a job may take in all.
    """

    def __init__(self, jobs: JobStore, storage: Storage, deadline: float) -> None:
        self._jobs = jobs
        self._storage = storage
        self._deadline = deadline

    def accept(
        self, body: bytes, queue: str | None, *, handed: bool
    ) -> tuple[Request, Acceptance, Job | None]:
        """Record the command in a message; gives its job, too, if its first turn was taken with that.

        Args:
            body: the CloudEvent.
            queue: where it was found, if it was in one; a command that belongs elsewhere is rejected.
            handed: whether its first turn is in the caller's hands, who goes on with it; otherwise it is due at once.

        Raises:
            InvalidCommand: it is not valid; its `rejected` event is in the outbox.
        """
        try:
            request = self._valid(body, queue)
            self._check_schedule(request)
            request = tracing.rooted(request)
            accepted, begun = self._jobs.accept(request, self._deadline, handed=handed)
            if accepted is Acceptance.CONFLICT:
                raise _invalid(request, "id", "is the id of another job", Code.ID_CONFLICT)
        except InvalidCommand as invalid:
            self._jobs.reject(invalid, body)
            raise
        return request, accepted, begun

    def _valid(self, body: bytes, queue: str | None) -> Request:
        request = parse(body)
        if queue is not None and request.command.queue() != queue:
            raise _invalid(request, "type", f"does not belong to the queue {queue}")
        for field, uri in request.command.inputs():
            try:
                self._storage.check(uri)
            except InputNotAllowed as error:
                raise _invalid(request, f"data.{field}", error.message, Code.INPUT_NOT_ALLOWED) from None
        return request

    def _check_schedule(self, request: Request) -> None:
        latest = self._jobs.database.now() + SCHEDULE_AHEAD_DAYS * 86_400
        if request.not_before is not None and request.not_before.timestamp() > latest:
            raise _invalid(request, "notbefore", f"is more than {SCHEDULE_AHEAD_DAYS} days ahead")


def _invalid(request: Request, field: str, message: str, code: Code = Code.INVALID_COMMAND) -> InvalidCommand:
    return InvalidCommand(
        [FieldError(field=field, message=message)],
        id=request.id,
        type=request.type,
        correlation_id=request.correlation_id,
        code=code,
    )
