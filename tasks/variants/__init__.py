"""Several tries of one domain: rows of the night like any others, of which one is taken."""
