"""The durable execution engine: admission, turns, retries, the dispatcher, and the process that runs them."""
