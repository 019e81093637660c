"""MLflow: one parent run a night, one child run a domain."""
