"""The polling policy compared with others: `python -m benchmarks.polling`."""
