"""Bulk data to vendors and back: `python -m benchmarks.bulk`."""
