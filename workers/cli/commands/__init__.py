"""The commands of `kyb`, one module each."""
