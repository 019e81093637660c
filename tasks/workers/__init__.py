"""Worker processes, warm between rows."""
