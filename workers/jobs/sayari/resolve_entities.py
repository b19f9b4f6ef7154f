"""The command `sayari.resolve_entities`: a list of entities goes into a project, and Sayari resolves them.

Progress belongs to a project, not to an upload. So every job has a project of its own unless the command names an
existing one. Entities that were there before are then left out by their upload time. If Sayari does not report that
time, the results are those of the whole project, and `uploaded` counts them all. No other client should upload to that
project at the same time: the job would fail rather than mix them up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from clients.errors import NotFound, Rejected
from clients.sayari import Sayari, UploadEntity, token_pages
from clients.sayari.workspace_shapes import Progress
from messages.base import File, dump
from messages.errors import Code
from messages.sayari import Project, ResolveEntities, ResolveEntitiesResult
from workers.engine.context import Run
from workers.engine.recovery import baseline, repeatable
from workers.engine.registry import Services
from workers.engine.signals import VendorJobFailed
from workers.errors import JobFailed, Undecided
from workers.jobs.input import InputTable, intake
from workers.jobs.results import NDJSON, publish
from workers.jobs.sayari.files import (
    PAGE,
    check_header,
    collect,
    moment,
    newer,
    nothing_in,
    read_through,
    sendable,
)
from workers.polling.next_poll import PollResult

#: What Sayari answers to an upload that it cannot read; assumed: only that errors come is documented.
UNREADABLE = {400, 406, 415}


def resolve_entities(command: ResolveEntities, run: Run, services: Services) -> ResolveEntitiesResult:
    """Upload, wait until Sayari has looked at every entity, and fetch those found and those not found.

    A file is read through once before anything is sent, so that a bad one leaves nothing at Sayari.
    """
    sayari = services.sayari
    resolutions = sayari.projects.resolutions
    batch = Batch(command, run, services)
    project_id = get_or_create_project(command.project, run, sayari, deleted=command.delete_project)
    before: dict[str, Any] = {"total": 0, "newest": None}
    if command.project is not None and command.project.id is not None:
        run.poll("settle", lambda: settled(sayari, project_id))
        before = run.once("before", lambda: standing(sayari, project_id), recover=baseline)
    count = batch.upload(project_id, before["total"])
    run.poll("resolve", lambda: poll_resolution(sayari, project_id, before["total"], count), size=count)
    told_apart = before["newest"] is not None or not before["total"]
    uploaded = count if told_apart else count + before["total"]
    records: dict[str, int] = {}
    for name, fetch in (("resolved", resolutions.resolved), ("unresolved", resolutions.unresolved)):
        draft = services.storage.draft(run.job_id, f"{name}.jsonl")
        page, keep = partial(fetch, project_id, limit=PAGE), partial(newer, before["newest"])
        records[name] = collect(run, f"fetch {name}", "fetch", draft, page, keep, uploaded)
    resolved = sum(records.values())
    if resolved != uploaded:
        raise VendorJobFailed(
            f"project {project_id} holds {resolved} resolved and unresolved entities of {uploaded}; look at it there",
            detail=None,
            void=("fetch resolved", "fetch unresolved"),
        )
    files = {
        name: publish(run, services.storage.draft(run.job_id, f"{name}.jsonl"), name, NDJSON, count)
        for name, count in records.items()
    }
    if command.delete_project:
        run.once("delete project", lambda: delete(sayari, project_id), recover=repeatable)
    return ResolveEntitiesResult(project_id=project_id, uploaded=uploaded, **files, rejects=batch.rejects())


def get_or_create_project(wanted: Project | None, run: Run, sayari: Sayari, *, deleted: bool) -> str:
    """The id of the project asked for: the given one if it is there, or a new one.

    Labels need not be unique at Sayari, so that of a new one ends in our job's id, `[kyb:<job id>]`: by it
    the project is found again when the answer to its creation was lost. One that is `deleted` in the end
    leaves no trace: a restored ledger cannot tell whether it was there.
    """
    if wanted is not None and wanted.id is not None:
        project_id = wanted.id
        return run.once("project", lambda: sayari.projects.get(project_id).id, recover=repeatable)
    name = wanted.label if wanted is not None and wanted.label is not None else "Resolution"
    label = f"{name} [kyb:{run.job_id}]"

    def find() -> str | None:
        for page in token_pages(sayari.projects.list, limit=100):
            for listed in page.data:
                if listed.project.label == label:
                    return str(listed.project.id)
        if deleted and run.restored:
            raise Undecided("the project is not there, perhaps because it was deleted in the end")
        return None

    return run.once("project", lambda: sayari.projects.create(label).id, recover=find)


class Batch:
    """The entities of one command, on their way to a project."""

    def __init__(self, command: ResolveEntities, run: Run, services: Services) -> None:
        self._run = run
        self._services = services
        self._source: InputTable | None = None
        self._entities: list[UploadEntity] = []
        if command.file is not None:
            self._source = intake(
                run,
                services.storage,
                command.file,
                strict=command.strict,
                check_header=check_header,
                check_row=nothing_in,
                repeated_headers=True,
            )
            read = run.transfer("read", partial(read_through, self._source), kind="read")
            self._size, self._bytes = read["done"], read["bytes"]
        else:
            self._entities = [UploadEntity.model_validate(dump(each)) for each in command.entities or []]
            self._size = len(self._entities)

    def upload(self, project_id: str, before: int) -> int:
        """Send them all at once, to a project that held `before` entities; how many Sayari has read.

        Raises:
            JobFailed: `input_invalid` if Sayari cannot read them, `vendor_failed` if it reads more or less.
        """
        try:
            count = self._run.once(
                "upload", lambda: self._send(project_id), recover=lambda: self._find(project_id, before)
            )
        except NotFound:
            raise
        except Rejected as refused:
            if refused.status not in UNREADABLE:
                raise
            raise JobFailed(
                Code.INPUT_INVALID, "Sayari cannot read the entities; mend what it names", refused.detail
            ) from refused
        if count != self._size:
            raise JobFailed(
                Code.VENDOR_FAILED,
                f"Sayari has read {count} entities of {self._size}; look at project {project_id} there",
            )
        return count

    def rejects(self) -> File | None:
        """The rows of the file that were left out, once it is sent and not needed any more."""
        if self._source is None:
            return None
        self._source.discard(self._run)
        return self._source.publish_rejects(self._run)

    def _send(self, project_id: str) -> int:
        resolutions = self._services.sayari.projects.resolutions
        if self._source is None:
            return resolutions.upload(project_id, entities=self._entities).count
        with sendable(self._source, self._bytes) as stream:
            return resolutions.upload(project_id, file=stream, filename=self._source.filename).count

    def _find(self, project_id: str, before: int) -> int | None:
        """Return whether the upload took effect. Assumed: a project's total grows by all of an upload at once."""
        grown = progress_of(self._services.sayari, project_id).total - before
        if grown == self._size:
            return grown
        if grown == 0:
            return None
        raise Undecided(f"project {project_id} has grown by {grown} entities, {self._size} were sent")


def progress_of(sayari: Sayari, project_id: str) -> Progress:
    """A project's progress; assumed, Sayari answers 404 or zeros before the first upload."""
    try:
        return sayari.projects.resolutions.progress(project_id)
    except NotFound:
        sayari.projects.get(project_id)  # raises if it is the project that is not there
        return Progress()


def poll_resolution(sayari: Sayari, project_id: str, before: int, count: int) -> PollResult:
    """Return Sayari's progress with `count` entities in a project that held `before`. It has no state of failure."""
    progress = progress_of(sayari, project_id)
    if progress.remaining == 0 and progress.total >= before + count:
        return PollResult("done", answer={"total": progress.total})
    done = max(0, min(progress.total - before, count) - progress.remaining)
    return PollResult("running", percent=100 * done / count, done=done, total=count)


def settled(sayari: Sayari, project_id: str) -> PollResult:
    """Return whether Sayari has finished what an existing project held before."""
    progress = progress_of(sayari, project_id)
    done = progress.total - progress.remaining
    if progress.remaining == 0:
        return PollResult("done", answer={"total": progress.total})
    return PollResult("running", done=done, total=progress.total)


def standing(sayari: Sayari, project_id: str) -> dict[str, Any]:
    """Return what a project holds before the upload: how many entities, and when the newest of them came."""
    resolutions = sayari.projects.resolutions
    pages = (resolutions.resolved(project_id, limit=1), resolutions.unresolved(project_id, limit=1))
    times = {when: each.created for page in pages for each in page.data if (when := moment(each.created))}
    newest = times[max(times)] if times else None
    return {"total": progress_of(sayari, project_id).total, "newest": newest}


def delete(sayari: Sayari, project_id: str) -> dict[str, Any]:
    """Delete a project; one that is not there any more is what was wanted."""
    try:
        sayari.projects.delete(project_id)
    except NotFound:
        return {"deleted": False}
    return {"deleted": True}
