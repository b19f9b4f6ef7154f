"""The cost of a job in each resource, and the size of an installation for many jobs: `python -m benchmarks.scaling`."""
