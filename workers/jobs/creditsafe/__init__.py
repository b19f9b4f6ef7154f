"""The commands of Creditsafe, one module each."""
