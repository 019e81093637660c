"""NVIDIA's checkpoints, read and written."""
