"""CPU time and memory of a process and all its descendants, as the kernel counts them."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """Return the process and its descendants."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(int(folder.name))
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    pids = [root]
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def cpu_seconds(root: int) -> float:
    """Return the CPU seconds so far, user and system, of all, including children that have ended."""
    stats = [fields for pid in tree(root) if (fields := _stat(pid)) is not None]
    return sum(int(ticks) for fields in stats for ticks in fields[11:15]) / _TICK


def memory(root: int) -> float:
    """Return the memory of all in MB; shared pages are divided among the processes (PSS)."""
    total = 0
    for pid in tree(root):
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # it has ended meanwhile
        total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total * 1024 / 1e6


def _stat(pid: int) -> list[str] | None:
    """Return the fields after the name (state, parent, …), or None if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
