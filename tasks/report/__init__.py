"""The morning's report, its figures and what they mean."""
