"""One row inside a worker process."""
