"""Many jobs at one vendor whose calls are limited: `python -m benchmarks.budget`."""
