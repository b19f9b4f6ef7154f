"""The command line `kyb`: one module per command, loaded when it is called."""
