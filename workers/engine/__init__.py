"""The durable part: admission, turns, retries, timers, and the process that runs them."""
