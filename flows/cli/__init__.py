"""The `nada` command."""
