"""The jobs: one module per vendor, one function per command."""
