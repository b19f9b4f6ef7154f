"""Inputs of any usual kind, as the one kind that jobs read: CSV in UTF-8 with commas and a header row.

    sniff ──▶ plain ──────────────────────────────▶ read where it is
      └─────▶ anything else, or not strict ─convert─▶ a copy of the job's own, and the rejects beside it

docs/files.md says what is accepted and how it is told apart.
"""

from __future__ import annotations

from workers.intake.source import Source, intake

__all__ = ["Source", "intake"]
