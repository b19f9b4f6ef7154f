"""How fast inputs are read and results are written on each kind of storage, and how much memory it takes."""
