"""Where input and result files lie, and the formats they have."""
