"""Many rows to vendors and back: `python -m benchmarks.bulk`."""
