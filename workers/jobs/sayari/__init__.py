"""The commands of Sayari, one module each."""
