"""The ledger: jobs, their steps and their events. It is the truth; the queue is only the hand-off."""
