"""When to poll a vendor again, learned from how long earlier jobs took. Pure functions, no I/O.

`next_poll` plans the next poll, `policy` decides its delay, `distribution` describes durations and `history` estimates
them from earlier jobs.
"""
