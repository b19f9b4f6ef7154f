"""The command `sayari.collect_changes`: what a data release has changed about the saved resources of a project.

Sayari clears the notifications of a whole resource, or of the whole project, whatever they are at that time, and a new
data release replaces them all. So a resource is cleared only if its notifications, read once more, are exactly those
in the file. A notification that arrives between this read and the clearing, one call later, is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator
from functools import partial
from typing import Any, BinaryIO, TypedDict

from clients.errors import NotFound
from clients.sayari import Sayari, offset_pages
from messages.base import File
from messages.sayari import CollectChanges, CollectChangesResult
from workers.engine.context import Run
from workers.engine.recovery import baseline
from workers.engine.registry import Services
from workers.files.storage import Draft, Storage
from workers.jobs.results import NDJSON, publish
from workers.jobs.sayari.files import PAGE, json_line

#: Our own columns in a line, beside what Sayari says.
OURS = ("saved_resource", "entity_id", "type")


class OpenResource(TypedDict):
    """A resource whose notifications are not read to their end: the types left, and the offset in the first."""

    id: str
    entity_id: str | None
    types: list[str]
    offset: int


class Written(TypedDict):
    """Records and bytes of the file."""

    records: int
    bytes: int


class CollectCheckpoint(TypedDict):
    """Checkpoint of collecting notifications: resources, records and bytes."""

    done: int
    records: int
    bytes: int
    open: OpenResource | None
    end: bool


class ClearCheckpoint(TypedDict):
    """Checkpoint of clearing notifications: resources, by outcome, and bytes of the file."""

    done: int
    cleared: int
    kept: int
    bytes: int
    end: bool


def collect_changes(command: CollectChanges, run: Run, services: Services) -> CollectChangesResult:
    """Write all notifications to a file, and clear them once it is there for good, if asked."""
    draft = services.storage.draft(run.job_id, "changes.jsonl")
    work = partial(collect, services.sayari, command.project_id, command.types, draft)
    collected = run.transfer("collect", work, kind="collect")
    if command.clear:
        # A restored ledger may have forgotten that they were cleared: then the file of that time must stay.
        run.once("all collected", lambda: True, recover=baseline)
    changes = publish(run, draft, "changes", NDJSON, collected["records"])
    counts = {"cleared": 0, "kept": 0}
    if command.clear:
        counts = run.transfer(
            "clear",
            partial(clear, services.sayari, services.storage, changes),
            kind="clear",
            total=collected["done"],
        )
    return CollectChangesResult(
        project_id=command.project_id, changes=changes, cleared=counts["cleared"], kept=counts["kept"]
    )


def collect(
    sayari: Sayari, project_id: str, wanted: list[str] | None, draft: Draft, at: CollectCheckpoint | None
) -> Generator[CollectCheckpoint]:
    """Write the notifications of one resource after the other, and of one type after the other, to `draft`.

    A checkpoint holds `done` (resources), `records`, `bytes`, `end`, and of a resource that is not finished, as
    `open`, its `id` and `entity_id`, the `types` left and the `offset` in the first of them.
    """
    if at is None or draft.size < at["bytes"]:
        at = {"done": 0, "records": 0, "bytes": 0, "open": None, "end": False}
    with draft.append(at["bytes"]):
        pass  # cuts off what a crash has left behind
    if at["end"]:
        return
    at = yield from read_open(sayari, draft, at)
    changed = sayari.projects.change_notifications.list
    for page in offset_pages(changed, project_id, offset=at["done"], limit=PAGE):
        for resource in page.data:
            types = [type for type in resource.counts if wanted is None or type in wanted]
            opened: OpenResource = {
                "id": resource.id,
                "entity_id": resource.resourceId,
                "types": types,
                "offset": 0,
            }
            at = yield from read_open(sayari, draft, at | {"open": opened})
    yield at | {"end": True}


def read_open(
    sayari: Sayari, draft: Draft, at: CollectCheckpoint
) -> Generator[CollectCheckpoint, None, CollectCheckpoint]:
    """Finish the resource that is open, if there is one; yields the checkpoints and returns the last."""
    while (resource := at["open"]) is not None:
        lines: list[bytes] = []
        rest = None
        if resource["types"]:
            lines, rest = read_page(sayari, resource)
        with draft.append(at["bytes"]) as out:
            out.writelines(lines)
            written: Written = {"records": at["records"] + len(lines), "bytes": out.tell()}
        at = {**at, **written, "open": rest, "done": at["done"] + (rest is None)}
        yield at
    return at


def read_page(sayari: Sayari, resource: OpenResource) -> tuple[list[bytes], OpenResource | None]:
    """A page of a resource's notifications as lines, and what is left of the resource; None for nothing.

    Notifications do not tell their type, so they are asked for type by type.
    """
    type, *others = resource["types"]
    offset = resource["offset"]
    listed = sayari.resources.change_notifications.list
    try:
        page = listed(resource["id"], type=type, limit=PAGE, offset=offset)
    except NotFound:  # the resource was deleted meanwhile, and its notifications with it
        return [], None
    ours = dict(zip(OURS, (resource["id"], resource["entity_id"], type), strict=True))
    lines = [json_line(ours | notification.given | ours) for notification in page.data]
    if page.next and page.data:
        return lines, resource | {"offset": offset + len(page.data)}
    return lines, resource | {"types": others, "offset": 0} if others else None


def clear(
    sayari: Sayari, storage: Storage, changes: File, at: ClearCheckpoint | None
) -> Generator[ClearCheckpoint]:
    """Clear every resource that has no other notifications than those in the file.

    Assumed: asked for without a type, a resource's notifications are those of all types.

    Repeated after a crash, it finds what is cleared already and passes on. A checkpoint holds `done` (resources),
    how many were `cleared` and `kept`, the `bytes` of the file that are dealt with, and `end`.
    """
    at = at or {"done": 0, "cleared": 0, "kept": 0, "bytes": 0, "end": False}
    if at["end"]:
        return
    notifications = sayari.resources.change_notifications
    with storage.open_result(changes) as stream:
        stream.seek(at["bytes"])
        for id, collected, end in resources_of(stream):
            known = True
            try:
                listed = Digest()
                for page in offset_pages(notifications.list, id, limit=PAGE):
                    listed.add(*(notification.given for notification in page.data))
                known = listed.count == 0 or listed == collected
                if known and listed.count:
                    notifications.delete(id)
            except NotFound:
                pass  # the resource was deleted meanwhile: nothing is left to clear
            at = {
                "done": at["done"] + 1,
                "cleared": at["cleared"] + known,
                "kept": at["kept"] + (not known),
                "bytes": end,
                "end": False,
            }
            yield at
    yield at | {"end": True}


class Digest:
    """A digest of a resource's notifications in any order, in constant memory."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, *notifications: dict[str, Any]) -> None:
        """Add notifications, as Sayari gave them or as they are in a line."""
        for notification in notifications:
            theirs = {key: value for key, value in notification.items() if key not in OURS}
            content = json.dumps(theirs, sort_keys=True).encode()
            self._sum += int.from_bytes(hashlib.sha256(content).digest())
            self.count += 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]


def resources_of(stream: BinaryIO) -> Iterator[tuple[str, Digest, int]]:
    """The resources in the file from here on: id, what was collected, and where its lines end."""
    id, collected, end = None, Digest(), stream.tell()
    for line in iter(stream.readline, b""):
        notification = json.loads(line)
        if id is not None and notification["saved_resource"] != id:
            yield id, collected, end
            collected = Digest()
        id = notification["saved_resource"]
        collected.add(notification)
        end += len(line)
    if id is not None:
        yield id, collected, end
