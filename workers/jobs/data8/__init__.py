"""The commands of Data8, one module each."""
