"""One module per change of the tables, each safe for workers of the version before."""
