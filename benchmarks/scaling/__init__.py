"""What a job costs of each resource, and what that means for many of them."""
