"""params.yaml and prompts.csv: read, checked whole, frozen."""
