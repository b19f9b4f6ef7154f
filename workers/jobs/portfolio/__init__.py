"""The command `portfolio.process`: one file through all vendors, and one report."""
