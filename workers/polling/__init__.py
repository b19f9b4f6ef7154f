"""When to poll a vendor again, learned from how long earlier jobs took. Pure functions, no I/O.

`policy` decides, `distribution` describes durations, `history` estimates them from the ledger's past polls.
"""
