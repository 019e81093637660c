"""`nada app`: the library in a browser, on this machine; nothing is fetched from anywhere else."""
