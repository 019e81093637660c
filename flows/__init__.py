"""The night as a Prefect flow, and the `nada` command. Importing this settles how the services behave."""

from tasks.config.environment import settle_environment

NOTES = settle_environment()
"""What of the user's environment was left out, a line each."""
