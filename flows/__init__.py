"""The night as a Prefect flow, and the `nada` command. Importing this settles how the services behave."""

from flows.import_path import settle_import_path

settle_import_path()

from tasks.config.environment import settle_environment  # noqa: E402  # it may only be looked for now

NOTES = settle_environment()
"""What of the user's environment was left out, a line each."""
