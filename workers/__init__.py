"""The workers: durable execution of the jobs that commands request, through the vendors' clients."""
