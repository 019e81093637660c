"""Several light rows in one batch: the big weights are common, and every picture bears its own row's numbers."""
