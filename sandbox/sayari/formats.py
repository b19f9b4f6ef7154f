"""Answers that are not JSON: tables as CSV or as a workbook, a text as PDF."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.sayari.paging import Refused

JSON, CSV, PDF, EXCEL = "application/json", "text/csv", "application/pdf", "application/vnd.ms-excel"

_OFFICE = "http://schemas.openxmlformats.org"
_PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{_OFFICE}/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/xl/workbook.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/xl/worksheets/sheet1.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_OFFICE}/package/2006/relationships"><Relationship Id="r1" '
    f'Type="{_OFFICE}/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{_OFFICE}/spreadsheetml/2006/main" '
    f'xmlns:r="{_OFFICE}/officeDocument/2006/relationships">'
    '<sheets><sheet name="Export" sheetId="1" r:id="r1"/></sheets></workbook>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_OFFICE}/package/2006/relationships">'
    f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument/2006/relationships/worksheet" '
    'Target="worksheets/sheet1.xml"/></Relationships>',
}

Rows = Sequence[Sequence[Any]]


def wanted(request: Request, *others: str) -> str:
    """The first media type that the request accepts of JSON and `others`; none of them is refused."""
    accept = request.headers.get("accept", "*/*").lower()
    for part in accept.split(","):
        type = part.partition(";")[0].strip()
        if type in {"*/*", "application/*", JSON}:
            return JSON
        if type in others:
            return type
    raise Refused(415, f"Accept must be one of {', '.join((JSON, *others))}")


def answer(type: str, content: Any, rows: Rows) -> Response:
    """`content` as JSON, or `rows` (the first is the header) as another type."""
    if type == JSON:
        return JSONResponse(content)
    write = {CSV: as_csv, PDF: as_pdf, EXCEL: as_workbook}[type]
    return Response(write(rows), media_type=type)


def as_csv(rows: Rows) -> bytes:
    """A table of text."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def as_workbook(rows: Rows) -> bytes:
    """The smallest XLSX workbook that spreadsheets open."""
    cells = "".join(
        "<row>"
        + "".join(f'<c t="inlineStr"><is><t>{escape(str(cell))}</t></is></c>' for cell in row)
        + "</row>"
        for row in rows
    )
    sheet = f'<worksheet xmlns="{_OFFICE}/spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as book:
        for name, part in (_PARTS | {"xl/worksheets/sheet1.xml": sheet}).items():
            book.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{part}')
    return packed.getvalue()


def as_pdf(rows: Rows) -> bytes:
    """One page of plain lines."""
    lines = [", ".join(map(str, row)) for row in rows][:60]
    shown = " T* ".join(
        "(" + line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") + ") Tj" for line in lines
    )
    content = f"BT /F1 8 Tf 40 800 Td 12 TL {shown} ET".encode("latin-1", "replace")
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%b\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, places = b"%PDF-1.4\n", []
    for place, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj%b endobj\n" % (place, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        body
        + b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
        % (
            table,
            len(body),
        )
    )
