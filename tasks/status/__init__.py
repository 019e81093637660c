"""Where a night stands, and the one summary when it ends."""
