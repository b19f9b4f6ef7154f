"""Speed and memory of reading inputs and writing results on each kind of storage: `python -m benchmarks.storage`."""
