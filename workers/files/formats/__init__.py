"""Tables in files: every accepted format is read as CSV in UTF-8 with commas and a header row.

sniff ──▶ plain CSV ───────────────────────────────────▶ read where it is
  └─────▶ any other format, or not strict ── convert ──▶ a private copy, and the rejects beside it
"""
