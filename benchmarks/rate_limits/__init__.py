"""Polling under a rate limit: `python -m benchmarks.rate_limits`."""
