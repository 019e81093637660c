"""`nada doctor`: whether a night can run here, and what brings what is missing."""
