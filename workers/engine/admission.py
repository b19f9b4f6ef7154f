"""Admission of commands: validation, allowed inputs and schedules, for every broker."""

from __future__ import annotations

from messages.envelope import InvalidCommand, Request, parse
from messages.errors import Code, FieldError
from workers.files.errors import InputNotAllowed
from workers.files.storage import Storage
from workers.ledger.job_store import Acceptance, JobStore
from workers.ledger.records import Job
from workers.observability import tracing

#: A later `notbefore` is refused: it is more likely a wrong year than a schedule.
SCHEDULE_LIMIT_DAYS = 366


class Admission:
    """Records valid commands as jobs, and `rejected` events for the others.

    Args:
        jobs: records jobs and events.
        storage: checks which inputs a command may name.
        deadline: maximum age of a job, in seconds.
    """

    def __init__(self, jobs: JobStore, storage: Storage, deadline: float) -> None:
        self._jobs = jobs
        self._storage = storage
        self._deadline = deadline

    def accept(
        self, body: bytes, queue: str | None, *, claim_first_turn: bool
    ) -> tuple[Request, Acceptance, Job | None]:
        """Record the command in a message as a job.

        Args:
            body: the CloudEvent.
            queue: that the command came from, if any; a command that belongs to another queue is rejected.
            claim_first_turn: whether the caller runs the first turn itself; otherwise the turn is due at once.

        Returns:
            The command, what became of it, and the job if its first turn was claimed in the same transaction.

        Raises:
            InvalidCommand: the command is not valid; its `rejected` event is in the outbox.
        """
        try:
            request = self._parse(body, queue)
            self._check_schedule(request)
            request = tracing.start_trace(request)
            acceptance, claimed = self._jobs.accept(
                request, self._deadline, claim_first_turn=claim_first_turn
            )
            if acceptance is Acceptance.CONFLICT:
                raise _invalid(request, "id", "is the id of another job", Code.ID_CONFLICT)
        except InvalidCommand as invalid:
            self._jobs.reject(invalid, body)
            raise
        return request, acceptance, claimed

    def _parse(self, body: bytes, queue: str | None) -> Request:
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
        latest = self._jobs.database.now() + SCHEDULE_LIMIT_DAYS * 86_400
        if request.not_before is not None and request.not_before.timestamp() > latest:
            raise _invalid(request, "notbefore", f"is more than {SCHEDULE_LIMIT_DAYS} days ahead")


def _invalid(request: Request, field: str, message: str, code: Code = Code.INVALID_COMMAND) -> InvalidCommand:
    return InvalidCommand(
        [FieldError(field=field, message=message)],
        id=request.id,
        type=request.type,
        correlation_id=request.correlation_id,
        code=code,
    )
