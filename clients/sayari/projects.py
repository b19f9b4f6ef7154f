"""Projects: what users keep their saved resources and resolutions in."""

from __future__ import annotations

from typing import IO, Literal, overload

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.files import save
from clients.sayari.notifications import ProjectChangeNotifications
from clients.sayari.requests import JSON
from clients.sayari.resolutions import Resolutions
from clients.sayari.shapes import Envelope, TokenPage
from clients.sayari.workspace_shapes import ExportedResource, ListedProject, Project, SavedResource
from clients.transport import Transport

Exported = TokenPage[ExportedResource]


class Projects(Resource):
    """`projects`: lists are newest first, by token pages.

    The three exports (`entities`, `records`, `resources`) have 1,000 items a page unless `limit` says
    otherwise; with `to`, the answer is written there as `accept` says: EXCEL of `requests`.
    """

    group = "projects"

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.resolutions = Resolutions(transport)
        self.change_notifications = ProjectChangeNotifications(transport)

    @operation("POST /v1/projects")
    def create(self, call: Call, label: str) -> Project:
        """Create a project. Labels need not be unique (assumed)."""
        return call(json={"label": label}).model(Envelope[Project]).data

    @operation("GET /v1/projects")
    def list(
        self,
        call: Call,
        *,
        archived: bool | None = None,
        next: str | None = None,
        prev: str | None = None,
        limit: int | None = None,
    ) -> TokenPage[ListedProject]:
        """The active projects, or the archived ones."""
        params = {"archived": archived, "next": next, "prev": prev, "limit": limit}
        return call(params=params).model(TokenPage[ListedProject])

    @operation("GET /v1/project/{id}")
    def get(self, call: Call, id: str) -> Project:
        """A project."""
        return call(path={"id": id}).model(Envelope[Project]).data

    @operation("GET /v1/project/{id}/contents")
    def contents(
        self,
        call: Call,
        id: str,
        *,
        next: str | None = None,
        prev: str | None = None,
        limit: int | None = None,
    ) -> TokenPage[SavedResource]:
        """The saved resources of a project, but for those in its directories."""
        params = {"next": next, "prev": prev, "limit": limit}
        return call(path={"id": id}, params=params).model(TokenPage[SavedResource])

    @operation("PATCH /v1/project/{id}")
    def update(
        self, call: Call, id: str, *, field: Literal["label", "archived"], value: str | bool
    ) -> Project:
        """Give a project another label (text), or archive it or fetch it back (a boolean)."""
        return call(path={"id": id}, json={"field": field, "value": value}).model(Envelope[Project]).data

    @operation("DELETE /v1/projects/{id}")
    def delete(self, call: Call, id: str) -> Project:
        """Delete a project with all it holds; what it was. Raises `Rejected` (403) without the right."""
        return call(path={"id": id}).model(Envelope[Project]).data

    @overload
    def entities(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None
    ) -> Exported: ...

    @overload
    def entities(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None,
        accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("GET /v1/project/{id}/entity")
    def entities(
        self, call: Call, id: str, *, next: str | None = None, prev: str | None = None,
        limit: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> Exported | None:  # fmt: skip
        """Export a project's saved entities."""
        return self._export(call, id, next, prev, limit, accept, to)

    @overload
    def records(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None
    ) -> Exported: ...

    @overload
    def records(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None,
        accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("GET /v1/project/{id}/record")
    def records(
        self, call: Call, id: str, *, next: str | None = None, prev: str | None = None,
        limit: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> Exported | None:  # fmt: skip
        """Export a project's saved records."""
        return self._export(call, id, next, prev, limit, accept, to)

    @overload
    def resources(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None
    ) -> Exported: ...

    @overload
    def resources(
        self, /, id: str, *, next: str | None = None, prev: str | None = None, limit: int | None = None,
        accept: str, to: IO[bytes],
    ) -> None: ...  # fmt: skip

    @operation("GET /v1/project/{id}/resource")
    def resources(
        self, call: Call, id: str, *, next: str | None = None, prev: str | None = None,
        limit: int | None = None, accept: str = JSON, to: IO[bytes] | None = None,
    ) -> Exported | None:  # fmt: skip
        """Export all saved resources of a project."""
        return self._export(call, id, next, prev, limit, accept, to)

    def _export(
        self, call: Call, id: str, next: str | None, prev: str | None, limit: int | None, accept: str,
        to: IO[bytes] | None,
    ) -> Exported | None:  # fmt: skip
        params = {"next": next, "prev": prev, "limit": limit}
        if to is None:
            return call(path={"id": id}, params=params).model(Exported)
        save(self._transport, call, to, accept, path={"id": id}, params=params)
        return None
