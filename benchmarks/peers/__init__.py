"""The same jobs with other tools: `python -m benchmarks.peers`."""
