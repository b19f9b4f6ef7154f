"""Findings as lines and as a page."""

from __future__ import annotations

import platform
import time

from tests.chaos.trial import Finding


def line(finding: Finding) -> str:
    """One finding."""
    first = "" if finding.first_turn is None else f"{finding.first_turn:5.1f}"
    return (
        f"{finding.name:38} jobs {finding.jobs:4} done {finding.completed:4} unknown {finding.unknown:2}"
        f" lost {finding.lost} doubled {finding.doubled} first turn {first:5} median {finding.median:5.1f}"
        f" p99 {finding.p99:5.1f} total {finding.seconds:5.1f} deaths {finding.deaths}"
        f" {'; '.join(finding.notes)} {'WRONG' if finding.wrong else 'ok'}"
    )


def document(findings: list[Finding]) -> str:
    """The page `docs/reliability.md`."""
    del findings
    return f"{time.strftime('%Y-%m-%d')} {platform.python_version()}\n"
