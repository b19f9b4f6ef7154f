"""Bulk resolution within projects."""

from __future__ import annotations

import io

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.core import TimedJob, serves
from sandbox.sayari.base import iso, stamp
from sandbox.sayari.paging import Keyed, Refused, token_page
from sandbox.sayari.uploads import Attributes, Item, Upload, from_csv, from_json, resolve
from sandbox.sayari.workspace import Project, Workspace


class Resolutions(Workspace):
    """Uploads are resolved over `state.job_seconds`, after `state.queue_seconds`.

    Assumed: progress is 404 before the first upload; its total is what the project still holds; the
    deletes answer 204.
    """

    @serves("POST /v1/project/{id}/resolutions")
    async def projects__resolutions__upload(self, request: Request) -> Response:
        """Take a list of entities in any of the three forms."""
        self.project(request)
        file, entities = await _uploaded(request)
        project, now = self.project(request), self.state.clock()
        items = resolve(project.id, stamp(now), entities, project.seen, self.register)
        job = TimedJob(now, self.state.queue_seconds, self.state.job_seconds)
        project.uploads.append(Upload(job, items))
        self.stats("projects.resolutions.upload", project.id)
        return JSONResponse({"file": file, "uploaded": iso(now), "count": len(items)}, status_code=201)

    @serves("GET /v1/project/{id}/resolutions/progress")
    async def projects__resolutions__progress(self, request: Request) -> Response:
        """Return how much of all uploads is unresolved."""
        project, now = self.project(request), self.state.clock()
        if not project.uploads:
            raise Refused(404, "nothing was uploaded to this project")
        total = sum(len(upload.items) for upload in project.uploads)
        done = sum(len(upload.processed(now)) for upload in project.uploads)
        last = max(min(now, upload.job.ends_at) for upload in project.uploads)
        body = {
            "id": project.id,
            "remaining": total - done,
            "total": total,
            "started": stamp(project.uploads[-1].job.started),
            "updated": stamp(last),
        }
        return JSONResponse(body)

    @serves("GET /v1/project/{id}/resolutions/resolved")
    async def projects__resolutions__resolved(self, request: Request) -> Response:
        """Those with hits, as far as they are resolved."""
        return self._page(request, resolved=True)

    @serves("GET /v1/project/{id}/resolutions/unresolved")
    async def projects__resolutions__unresolved(self, request: Request) -> Response:
        """Those without."""
        return self._page(request, resolved=False)

    def _page(self, request: Request, *, resolved: bool) -> Response:
        items = self._visible(self.project(request), resolved=resolved)
        return JSONResponse(token_page(items, request.query_params, Item.json, sized=True))

    def _visible(self, project: Project, *, resolved: bool) -> Keyed[Item]:
        """Those to show by now, sorted; sorted again only when there are others."""
        processed = [upload.processed(self.state.clock()) for upload in project.uploads]
        sizes = [len(items) for items in processed]
        if resolved not in project.shown or project.shown[resolved][0] != sizes:
            items_of_kind = [item for items in processed for item in items if bool(item.hits) is resolved]
            items_of_kind.sort(key=lambda item: (item.created, item.id))
            project.shown[resolved] = sizes, [(item.created, item.id, item) for item in items_of_kind]
        return project.shown[resolved][1]

    @serves("DELETE /v1/project/{id}/resolutions/resolved/{resolution}")
    async def projects__resolutions__delete_resolved(self, request: Request) -> Response:
        """Forget one."""
        return self._delete(request, "delete_resolved", resolved=True, id=request.path_params["resolution"])

    @serves("DELETE /v1/project/{id}/resolutions/unresolved/{resolution}")
    async def projects__resolutions__delete_unresolved(self, request: Request) -> Response:
        """Forget one."""
        return self._delete(
            request, "delete_unresolved", resolved=False, id=request.path_params["resolution"]
        )

    @serves("DELETE /v1/project/{id}/resolutions/resolved")
    async def projects__resolutions__delete_all_resolved(self, request: Request) -> Response:
        """Forget those there are by now."""
        return self._delete(request, "delete_all_resolved", resolved=True)

    @serves("DELETE /v1/project/{id}/resolutions/unresolved")
    async def projects__resolutions__delete_all_unresolved(self, request: Request) -> Response:
        """Forget those there are by now."""
        return self._delete(request, "delete_all_unresolved", resolved=False)

    def _delete(self, request: Request, name: str, *, resolved: bool, id: str | None = None) -> Response:
        project, now = self.project(request), self.state.clock()

        def goes(item: Item) -> bool:
            return bool(item.hits) is resolved and id in {None, item.id}

        removed = {item.id for upload in project.uploads for item in upload.processed(now) if goes(item)}
        if id is not None and not removed:
            raise Refused(404, "no such resolution")
        for upload in project.uploads:
            upload.items = [item for item in upload.items if item.id not in removed]
        project.shown.clear()
        self.stats(f"projects.resolutions.{name}", id or project.id)
        return Response(status_code=204)


async def _uploaded(request: Request) -> tuple[str, list[Attributes]]:
    """The name that the answer gives the upload, and its entities; other types of content are refused."""
    type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type == "application/json":
        return "json-body-upload", await run_in_threadpool(from_json, await request.body())
    if type == "text/csv":
        return "csv-body-upload", await run_in_threadpool(from_csv, io.BytesIO(await request.body()))
    if type != "multipart/form-data":
        raise Refused(415, "Content-Type must be multipart/form-data, text/csv or application/json")
    async with request.form() as form:
        part = form.get("file")
        if not isinstance(part, UploadFile):
            raise Refused(406, "the form must have a part named file")
        if (part.filename or "").lower().endswith((".xlsx", ".xls", ".numbers")):
            raise Refused(415, "the file is not CSV: spreadsheets are not supported")
        return part.filename or "", await run_in_threadpool(from_csv, part.file)
