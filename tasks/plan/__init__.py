"""What a night would do and cost, before it does anything."""
