"""Logs, metrics, traces and health of a worker. Jobs never read from this package, and it never affects their outcome."""
