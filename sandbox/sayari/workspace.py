"""Projects and what they hold."""

from __future__ import annotations

import secrets
import string
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import SandboxState, serves
from sandbox.sayari import shapes
from sandbox.sayari.base import Part, body_of, stamp
from sandbox.sayari.formats import EXCEL, answer, wanted
from sandbox.sayari.paging import Keyed, Refused, flag, token_page
from sandbox.sayari.uploads import Item, Upload

EXPORT_LIMIT = 1_000


@dataclass
class Resource:
    """A saved entity or record."""

    id: str
    project: str
    directory: str | None
    label: str
    type: str
    resource_id: str
    created: str
    updated: str
    release: int = 0
    changes: list[dict[str, Any]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        """It as Sayari shows it."""
        return {
            "id": self.id,
            "project": self.project,
            "label": self.label,
            "type": self.type,
            "resourceId": self.resource_id,
            "resourceGraph": "sayari",
            "created": self.created,
            "updated": self.updated,
            "entity_id": self.resource_id,
            "updated_by": "sandbox",
            "version": 1,
            "tag_ids": [],
            "case_status": "not_assigned",
        }


@dataclass
class Project:
    """A project, the resources saved in it and the lists uploaded to it."""

    id: str
    label: str
    created: str
    updated: str
    archived: bool = False
    resources: dict[str, Resource] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    shown: dict[bool, tuple[list[int], Keyed[Item]]] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """It as Sayari shows it."""
        return {
            "id": self.id,
            "label": self.label,
            "archived": self.archived,
            "created": self.created,
            "updated": self.updated,
            "counts": {},
        }


class Workspace(Part):
    """The workspace of users. The simulator has one user, who may do everything."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state)
        self.projects: dict[str, Project] = {}

    def project(self, request: Request) -> Project:
        """The project in the path, or 404."""
        project = self.projects.get(request.path_params["id"])
        if project is None:
            raise Refused(404, "no such project")
        return project

    def now(self) -> str:
        """The time as a workspace timestamp."""
        return stamp(self.state.clock())

    @serves("POST /v1/projects")
    async def projects__create(self, request: Request) -> Response:
        """A new project; labels may repeat."""
        label = (await body_of(request)).get("label")
        if not isinstance(label, str) or not label:
            raise Refused(406, "label must be a text")
        project = Project(new_id(), label, now := self.now(), now)
        self.projects[project.id] = project
        self.stats("projects.create", label)
        return JSONResponse({"data": project.json()}, status_code=201)

    @serves("GET /v1/projects")
    async def projects__list(self, request: Request) -> Response:
        """The active projects, or the archived ones."""
        archived = flag(request.query_params, "archived")
        listed = [project for project in self.projects.values() if project.archived is archived]
        return JSONResponse(token_page(_keyed(listed), request.query_params, _listed))

    @serves("GET /v1/project/{id}", "GET /v1/projects/{id}")
    async def projects__get(self, request: Request) -> Response:
        """One project, under both spellings of its path."""
        return JSONResponse({"data": self.project(request).json()})

    @serves("GET /v1/project/{id}/contents")
    async def projects__contents(self, request: Request) -> Response:
        """Return what is saved outside directories."""
        top = [each for each in self.project(request).resources.values() if each.directory is None]
        return JSONResponse(token_page(_keyed(top), request.query_params, Resource.json))

    @serves("PATCH /v1/project/{id}", "PATCH /v1/projects/{id}")
    async def projects__update(self, request: Request) -> Response:
        """Another label, or archived or not."""
        project, body = self.project(request), await body_of(request)
        match body.get("field"), body.get("value"):
            case "label", str(label) if label:
                project.label = label
            case "archived", bool(archived):
                project.archived = archived
            case _:
                raise Refused(406, "field must be label with a text or archived with a boolean")
        project.updated = self.now()
        self.stats("projects.update", project.id)
        return JSONResponse({"data": project.json()})

    @serves("DELETE /v1/projects/{id}", "DELETE /v1/project/{id}")
    async def projects__delete(self, request: Request) -> Response:
        """Delete it with all it holds."""
        project = self.project(request)
        del self.projects[project.id]
        self.stats("projects.delete", project.id)
        return JSONResponse({"data": project.json()})

    @serves("GET /v1/project/{id}/entity")
    async def projects__entities(self, request: Request) -> Response:
        """Export saved entities."""
        return self._export(request, {"entity"})

    @serves("GET /v1/project/{id}/record")
    async def projects__records(self, request: Request) -> Response:
        """Export saved records."""
        return self._export(request, {"record"})

    @serves("GET /v1/project/{id}/resource")
    async def projects__resources(self, request: Request) -> Response:
        """Export both."""
        return self._export(request, {"entity", "record"})

    def _export(self, request: Request, types: set[str]) -> Response:
        project, type = self.project(request), wanted(request, EXCEL)
        kept = [each for each in project.resources.values() if each.type in types]
        page = token_page(
            _keyed(kept),
            request.query_params,
            self._exported,
            default=EXPORT_LIMIT,
            most=self.state.page_limit,
        )
        rows = [("label", "created", "updated")]
        rows += [(item["label"], item["created"], item["updated"]) for item in page["data"]]
        return answer(type, page, rows)

    def _exported(self, resource: Resource) -> dict[str, Any]:
        if resource.type == "entity":
            content = shapes.embedded(self.register.entities[resource.resource_id])
        else:
            about = self.register.record(resource.resource_id)
            content = shapes.embedded_record(about) if about else {}
        times = {"created": resource.created, "updated": resource.updated, "label": resource.label}
        return {resource.type: content, **times}


def new_id() -> str:
    """Six letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(6))


def _keyed(items: list[Any]) -> Keyed[Any]:
    return sorted(((item.created, item.id, item) for item in items), key=lambda each: each[:2])


def _listed(project: Project) -> dict[str, Any]:
    member = {
        "type": "user",
        "id": "sandbox",
        "role": "admin",
        "created": project.created,
        "updated": project.updated,
    }
    return project.json() | {"project": project.json(), "members": [member]}
