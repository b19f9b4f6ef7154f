"""Bulk resolution: upload what is known of entities, wait, fetch those found and those not found.

There is no job id: progress belongs to the project. Two uploads into one project are indistinguishable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.requests import CSV, UploadEntity
from clients.sayari.shapes import TokenPage
from clients.sayari.workspace_shapes import Progress, ResolvedEntity, UnresolvedEntity, Upload


class Resolutions(Resource):
    """`projects.resolutions`: what the deletes answer is not documented, so it is not read."""

    group = "projects.resolutions"

    @operation("POST /v1/project/{id}/resolutions")
    def upload(
        self,
        call: Call,
        id: str,
        *,
        file: IO[bytes] | None = None,
        filename: str = "entities.csv",
        csv: bytes | IO[bytes] | Iterator[bytes] | None = None,
        entities: Iterable[UploadEntity] | None = None,
    ) -> Upload:
        """Upload entities to a project, in one of three forms; more than one upload adds up.

        Args:
            id: the project.
            file: a CSV file, sent as multipart form under `filename`; streamed. Its headers must be of
                `requests.known_header`; a repeated header gives an entity several values.
            csv: the same, sent as a `text/csv` body; streamed.
            entities: sent as JSON.

        Raises:
            Rejected: the vendor found a bad header (406) or another type of file (415).
        """
        if [file, csv, entities].count(None) != 2:  # noqa: PLR2004 - all but one
            msg = "give one of file, csv and entities"
            raise TypeError(msg)
        path = {"id": id}
        if file is not None:
            answer = call(path=path, files={"file": (filename, file, CSV)})
        elif csv is not None:
            answer = call(path=path, content=csv, headers={"Content-Type": CSV})
        else:
            answer = call(path=path, json=[entity.model_dump(exclude_none=True) for entity in entities or ()])
        return answer.model(Upload)

    @operation("GET /v1/project/{id}/resolutions/progress")
    def progress(self, call: Call, id: str) -> Progress:
        """Return the progress of a project. Before any upload Sayari may answer with zeros or with `NotFound`."""
        return call(path={"id": id}).model(Progress)

    @operation("GET /v1/project/{id}/resolutions/resolved")
    def resolved(
        self,
        call: Call,
        id: str,
        *,
        next: str | None = None,
        prev: str | None = None,
        limit: int | None = None,
    ) -> TokenPage[ResolvedEntity]:
        """The uploaded entities that were found in Sayari's data, newest first, by token pages."""
        params = {"next": next, "prev": prev, "limit": limit}
        return call(path={"id": id}, params=params).model(TokenPage[ResolvedEntity])

    @operation("GET /v1/project/{id}/resolutions/unresolved")
    def unresolved(
        self,
        call: Call,
        id: str,
        *,
        next: str | None = None,
        prev: str | None = None,
        limit: int | None = None,
    ) -> TokenPage[UnresolvedEntity]:
        """The uploaded entities that were not found, newest first, by token pages."""
        params = {"next": next, "prev": prev, "limit": limit}
        return call(path={"id": id}, params=params).model(TokenPage[UnresolvedEntity])

    @operation("DELETE /v1/project/{id}/resolutions/resolved/{resolutionId}")
    def delete_resolved(self, call: Call, id: str, resolution_id: str) -> None:
        """Delete one resolved entity of a project."""
        call(path={"id": id, "resolutionId": resolution_id})

    @operation("DELETE /v1/project/{id}/resolutions/unresolved/{resolutionId}")
    def delete_unresolved(self, call: Call, id: str, resolution_id: str) -> None:
        """Delete one unresolved entity of a project."""
        call(path={"id": id, "resolutionId": resolution_id})

    @operation("DELETE /v1/project/{id}/resolutions/resolved")
    def delete_all_resolved(self, call: Call, id: str) -> None:
        """Delete all resolved entities of a project."""
        call(path={"id": id})

    @operation("DELETE /v1/project/{id}/resolutions/unresolved")
    def delete_all_unresolved(self, call: Call, id: str) -> None:
        """Delete all unresolved entities of a project."""
        call(path={"id": id})
