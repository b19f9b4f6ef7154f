"""What works: runs the jobs that messages ask for, durably, through the vendors' clients."""
