"""Saved resources: entities and records kept in projects."""

from __future__ import annotations

from typing import Literal

from clients.operation import Call
from clients.resource import Resource, operation
from clients.sayari.notifications import ResourceChangeNotifications
from clients.sayari.shapes import Envelope
from clients.sayari.workspace_shapes import SavedResource
from clients.transport import Transport

GRAPH = "sayari"


class Resources(Resource):
    """`resources`: changes need the role of an admin or editor."""

    group = "resources"

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.change_notifications = ResourceChangeNotifications(transport)

    @operation("POST /v1/resource")
    def create(
        self,
        call: Call,
        *,
        type: Literal["entity", "record"],
        project: str,
        label: str,
        resource_id: str,
        directory: str | None = None,
        resource_graph: str = GRAPH,
    ) -> SavedResource:
        """Save an entity or a record in a project, in one of its directories if one is given.

        Assumed: saving it again makes another one.
        """
        body = {
            "type": type,
            "project": project,
            "directory": directory,
            "label": label,
            "resource_graph": resource_graph,
            "resource_id": resource_id,
        }
        fields = {key: value for key, value in body.items() if value is not None}
        return call(json=fields).model(Envelope[SavedResource]).data

    @operation("GET /v1/resource/{id}")
    def get(self, call: Call, id: str) -> SavedResource:
        """A saved resource."""
        return call(path={"id": id}).model(Envelope[SavedResource]).data

    @operation("PATCH /v1/resource/{id}")
    def update(self, call: Call, id: str, *, value: str, field: Literal["label"] = "label") -> SavedResource:
        """Give a saved resource another label: the only field that can be changed."""
        return (
            call(path={"id": id}, json={"field": field, "value": value}).model(Envelope[SavedResource]).data
        )

    @operation("DELETE /v1/resource/{id}")
    def delete(self, call: Call, id: str) -> SavedResource:
        """Remove a saved resource from its project; what it was. Raises `Rejected` (403) without the right."""
        return call(path={"id": id}).model(Envelope[SavedResource]).data
