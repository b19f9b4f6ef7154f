"""The commands of Creditsafe, one module each, and what they share."""
