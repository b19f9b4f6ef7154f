"""What operators see of a worker: metrics, traces, and whether it is well. Nothing here changes what becomes of a job."""
