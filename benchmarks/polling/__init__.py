"""How the polling rule compares: `python -m benchmarks.polling`."""
