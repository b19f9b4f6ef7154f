"""Saved resources and their change notifications."""

from __future__ import annotations

from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import serves
from sandbox.sayari.base import body_of, iso
from sandbox.sayari.paging import Refused, number, offset_page
from sandbox.sayari.register import Entity
from sandbox.sayari.workspace import Resource, Workspace, new_id

#: What a data release tells of every saved entity: (type, value), the number of the release behind the value.
RELEASE = (("name", "New Name 1"), ("name", "New Name 2"), ("address", "New Address"), ("status", "active"))


class SavedResources(Workspace):
    """Entities and records kept in projects.

    Every data release, of which there are `state.releases`, tells something of each entity saved, and its
    notifications take the place of the last one's.
    """

    def resource(self, request: Request) -> Resource:
        """The saved resource in the path, or 404."""
        for project in self.projects.values():
            if request.path_params["id"] in project.resources:
                return project.resources[request.path_params["id"]]
        raise Refused(404, "no such saved resource")

    @serves("POST /v1/resource")
    async def resources__create(self, request: Request) -> Response:
        """Save an entity or a record that exists; as often as asked."""
        body = await body_of(request)
        texts = ("type", "project", "label", "resource_graph", "resource_id")
        if missing := [name for name in texts if not isinstance(body.get(name), str) or not body[name]]:
            raise Refused(406, f"must be texts: {', '.join(missing)}")
        if body["type"] not in {"entity", "record"} or body["resource_graph"] != "sayari":
            raise Refused(406, "type must be entity or record, resource_graph must be sayari")
        known = self.register.entities.get if body["type"] == "entity" else self.register.record
        project = self.projects.get(body["project"])
        if project is None or known(body["resource_id"]) is None:
            raise Refused(404, "no such project or no such resource")
        now = self.now()
        resource = Resource(
            new_id(), project.id, body.get("directory"), body["label"], body["type"], body["resource_id"],
            now, now,
        )  # fmt: skip
        project.resources[resource.id] = resource
        self.stats("resources.create", resource.resource_id)
        return JSONResponse({"data": resource.json()}, status_code=201)

    def news(self, resource: Resource) -> list[dict[str, Any]]:
        """Its change notifications: those of the last data release, unless they were deleted."""
        if resource.type == "entity" and resource.release != self.state.releases:
            resource.release = self.state.releases
            resource.changes = self._release(self.register.entities[resource.resource_id])
        return resource.changes

    def _release(self, entity: Entity) -> list[dict[str, Any]]:
        """An attribute's notification names a record and its source, a relationship's the other entity and its type."""
        date, number = iso(self.state.clock()), self.state.releases
        notifications = [
            {"type": type, "resourceId": entity.record_id, "value": f"{value} ({number})",
             "qualifier": entity.source.id, "date": date}
            for type, value in RELEASE
        ]  # fmt: skip
        others = ((self.register.entities[id], types) for id, types in entity.links.items())
        return notifications + [
            {
                "type": type,
                "resourceId": other.id,
                "value": other.label,
                "qualifier": other.type,
                "date": date,
            }
            for other, types in others
            for type in types
        ]

    @serves("GET /v1/resource/{id}")
    async def resources__get(self, request: Request) -> Response:
        """One saved resource."""
        return JSONResponse({"data": self.resource(request).json()})

    @serves("PATCH /v1/resource/{id}")
    async def resources__update(self, request: Request) -> Response:
        """Another label."""
        resource, body = self.resource(request), await body_of(request)
        if body.get("field") != "label" or not isinstance(body.get("value"), str):
            raise Refused(406, "field must be label, value a text")
        resource.label, resource.updated = body["value"], self.now()
        self.stats("resources.update", resource.id)
        return JSONResponse({"data": resource.json()})

    @serves("DELETE /v1/resource/{id}")
    async def resources__delete(self, request: Request) -> Response:
        """Remove it from its project."""
        resource = self.resource(request)
        del self.projects[resource.project].resources[resource.id]
        self.stats("resources.delete", resource.id)
        return JSONResponse({"data": resource.json()})

    @serves("GET /v1/project/{id}/change_notifications")
    async def projects__change_notifications__list(self, request: Request) -> Response:
        """Resources with notifications and their counts, as pairs."""
        changed = [each for each in self.project(request).resources.values() if self.news(each)]
        return JSONResponse(self._notifications(request, changed, _changed))

    @serves("GET /v1/resource/{id}/change_notifications")
    async def resources__change_notifications__list(self, request: Request) -> Response:
        """Notifications of one type or all."""
        resource, type = self.resource(request), request.query_params.get("type")
        changes = [each for each in self.news(resource) if type in {None, each["type"]}]
        return JSONResponse(self._notifications(request, changes, _untyped))

    @serves("GET /v1/resource/{id}/change_notifications/count")
    async def resources__change_notifications__count(self, request: Request) -> Response:
        """Counts by type, as a map."""
        resource = self.resource(request)
        self.news(resource)
        return JSONResponse(_counts(resource))

    @serves("DELETE /v1/project/{id}/change_notifications")
    async def projects__change_notifications__delete(self, request: Request) -> Response:
        """Forget those of all resources."""
        project = self.project(request)
        for resource in project.resources.values():
            self.news(resource).clear()
        self.stats("projects.change_notifications.delete", project.id)
        return Response(status_code=204)

    @serves("DELETE /v1/resource/{id}/change_notifications")
    async def resources__change_notifications__delete(self, request: Request) -> Response:
        """Forget those of one resource."""
        resource = self.resource(request)
        self.news(resource).clear()
        self.stats("resources.change_notifications.delete", resource.id)
        return Response(status_code=204)

    def _notifications(self, request: Request, items: list[Any], show: Any) -> dict[str, Any]:
        """Lists of notifications are pages by offset that show neither offset nor size."""
        query = request.query_params
        limit = min(number(query, "limit", 100, 1, 100), self.state.page_limit)
        page = offset_page(items, number(query, "offset", 0, 0), limit, show)
        return {key: page[key] for key in ("limit", "next", "data")}


def _counts(resource: Resource) -> dict[str, int]:
    return dict(sorted(Counter(each["type"] for each in resource.changes).items()))


def _changed(resource: Resource) -> dict[str, Any]:
    counts = [list(pair) for pair in _counts(resource).items()]
    return {"id": resource.id, "resourceId": resource.resource_id, "counts": counts}


def _untyped(change: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in change.items() if key != "type"}
