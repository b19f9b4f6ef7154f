"""The same jobs done with what a user would pick instead: `python -m benchmarks.peers`."""
