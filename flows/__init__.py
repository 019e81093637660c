"""The night as a Prefect flow, and the `nada` command. Importing this settles how the services behave."""

from tasks.config.environment import settle_environment

settle_environment()
