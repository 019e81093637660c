"""What a step is to lower."""
