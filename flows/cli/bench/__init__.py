"""`nada bench`."""
