"""Rate limits of vendors, shared by all workers of a ledger.

`limiter` counts calls in a sliding window, `batching` acquires permits for all threads of a process together,
`poll_scheduler` selects which polls go first when more are due than the limit allows.
"""
