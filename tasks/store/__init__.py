"""What is kept on disk: finished rows, base models, caches, and their versions in DVC."""
