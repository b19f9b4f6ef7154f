"""Numbers of a workbook as text: plainly, and as dates or with leading zeros where their format says so."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple
from xml.etree.ElementTree import Element

#: Beyond it a double no longer tells whole numbers apart: they stay as they are written.
_EXACT = 1e15
#: More digits of a number no spreadsheet shows.
_DIGITS = 15
#: The built-in formats of dates and times.
_DATES = {*range(14, 23), *range(27, 37), *range(50, 59), 45, 47}
_LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_DATE_LETTERS = re.compile("[dmyhs]", re.IGNORECASE)
_LEAP_BUG = 60  # day 60 is 29 February 1900, which there never was


class Style(NamedTuple):
    """Of a number: whether it is a date or time, and with how many digits it is shown at least."""

    date: bool = False
    digits: int = 0


def styles_of(elements: Iterable[Element]) -> list[Style]:
    """The styles of cells by index, from the elements of a workbook's styles in the order in which they end."""
    formats: dict[int, Style] = {number: Style(date=True) for number in _DATES}
    styles: list[Style] = []
    for element in elements:
        tag = element.tag.rpartition("}")[2]
        if tag == "numFmt":
            formats[_number(element.get("numFmtId"))] = _style(element.get("formatCode", ""))
        elif tag == "cellXfs":
            styles = [formats.get(_number(each.get("numFmtId")), Style()) for each in element]
    return styles


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else 0


def _style(code: str) -> Style:
    first = code.split(";", 1)[0]
    if re.fullmatch("0+", first):
        return Style(digits=len(first))
    bare = _LITERAL.sub("", first)
    return Style(date=_ELAPSED.search(bare) is None and _DATE_LETTERS.search(bare) is not None)


def number_text(text: str, style: Style, *, date1904: bool) -> str:
    """A stored number as text.

    Whole numbers have no point, dates and times are ISO 8601, other numbers have 15 digits at most, as in Excel.

    Raises:
        ValueError: not a number, or not a date that there is.
        OverflowError: likewise.
    """
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    if style.date:
        return _date_text(value, date1904=date1904)
    if value.is_integer():
        whole = str(int(value)) if abs(value) < _EXACT else format(Decimal(text), "f").partition(".")[0]
        return whole.zfill(style.digits)
    return format(Decimal(f"{value:.{_DIGITS}g}"), "f")


def _date_text(serial: float, *, date1904: bool) -> str:
    if serial < 0:
        raise ValueError(serial)
    moment = datetime(1904, 1, 1) if date1904 else datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no zone
    if not date1904 and serial < _LEAP_BUG:
        moment += timedelta(days=1)
    moment += timedelta(milliseconds=round(serial * 86_400_000))
    if serial < 1:
        return moment.time().isoformat()
    if not (moment.hour or moment.minute or moment.second or moment.microsecond):
        return moment.date().isoformat()
    return moment.isoformat()
