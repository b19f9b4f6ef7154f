"""Change notifications: what a data release has changed about the saved resources."""

from __future__ import annotations

from pydantic import TypeAdapter

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.shapes import OffsetPage
from clients.sayari.workspace_shapes import ChangedResource, ChangeNotification

_COUNTS: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])


class ProjectChangeNotifications(Resource):
    """`projects.change_notifications`: of all saved resources of a project."""

    group = "projects.change_notifications"

    @operation("GET /v1/project/{id}/change_notifications")
    def list(
        self, call: Call, id: str, *, limit: int | None = None, offset: int | None = None
    ) -> OffsetPage[ChangedResource]:
        """A project's resources that have notifications, by offset pages."""
        return call(path={"id": id}, params={"limit": limit, "offset": offset}).model(
            OffsetPage[ChangedResource]
        )

    @operation("DELETE /v1/project/{id}/change_notifications")
    def delete(self, call: Call, id: str) -> None:
        """Delete the notifications of all of a project's resources."""
        call(path={"id": id})


class ResourceChangeNotifications(Resource):
    """`resources.change_notifications`: of one saved resource."""

    group = "resources.change_notifications"

    @operation("GET /v1/resource/{id}/change_notifications")
    def list(
        self,
        call: Call,
        id: str,
        *,
        type: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> OffsetPage[ChangeNotification]:
        """A saved resource's notifications, of one `type` or all, by offset pages."""
        params = {"type": type, "limit": limit, "offset": offset}
        return call(path={"id": id}, params=params).model(OffsetPage[ChangeNotification])

    @operation("GET /v1/resource/{id}/change_notifications/count")
    def count(self, call: Call, id: str) -> dict[str, int]:
        """Return how many notifications of each type a saved resource has."""
        return call(path={"id": id}).adapt(_COUNTS)

    @operation("DELETE /v1/resource/{id}/change_notifications")
    def delete(self, call: Call, id: str) -> None:
        """Delete a saved resource's notifications."""
        call(path={"id": id})
