"""What it costs to wait: `python -m benchmarks.waiting`."""
