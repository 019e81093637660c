"""What changes about a night while it runs: new rows, a pause, and an end before its time."""
