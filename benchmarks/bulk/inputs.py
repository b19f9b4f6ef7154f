"""Tables of invented companies, of any size."""

from __future__ import annotations

from itertools import count
from pathlib import Path

_TOWNS = ("London", "Leeds", "Köln", "Paris", "Turin", "Cork", "Lyon", "Bath", "Gent", "Oslo")


def companies(path: Path, rows: int) -> Path:
    """Write rows for Data8: nine columns, about 115 bytes per row, one cell quoted."""
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write("id,name,street,town,postcode,country,phone,contact,note\r\n")
        for n in range(rows):
            out.write(
                f"{n},Company {n % 9_973} Ltd,{n % 211} High Street,{_TOWNS[n % 10]},AB{n % 90} 1CD,GB,"
                f'+44 20 {n % 10_000_000:07},contact{n % 5_003}@example.com,"{n % 7} sites, {n % 40} staff"\r\n'
            )
    return path


def records(path: Path, size: int) -> Path:
    """Write at least `size` bytes of records for Creditsafe, about 200 bytes each."""
    remaining = size
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write("name,address1,address2,town,postcode,countryCode,phone,email,vatNumber,reference\r\n")
        for n in count():
            out.write(
                line := f"Company {n % 99_991} Trading and Holding Limited,{n % 211} Long High Street,"
                f'"Floor {n % 30}, Building {n % 9}",{_TOWNS[n % 10]},AB{n % 90} 1CD,GB,+44 20 {n % 10_000_000:07},'
                f"contact{n % 50_003}@example.com,GB{n % 1_000_000_000:09},customer-{n:09}\r\n"
            )
            remaining -= len(line)
            if remaining <= 0:
                return path
    raise AssertionError


def names(path: Path, rows: int) -> Path:
    """Write names for Sayari to resolve, some of which are in the sandbox's register."""
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write("name,country,address\r\n")
        for n in range(rows):
            name = "Tesco PLC" if n % 4 == 0 else f"Nobody {n} Ltd"
            out.write(f'{name},GBR,"{n % 211} High Street, {_TOWNS[n % 10]}"\r\n')
    return path


def ids(path: Path, rows: int) -> Path:
    """Write ids of entities for Sayari."""
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write("entity_id\r\n")
        out.writelines(f"entity{n}\r\n" for n in range(rows))
    return path
