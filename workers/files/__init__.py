"""Input and result files: where they are stored, and their formats."""
