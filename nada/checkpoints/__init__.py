"""Generators on disk: one canonical format, two more to read, and nothing in them is ever executed."""

from nada.checkpoints.canonical import load_generator, save_generator, sha256_file
from nada.checkpoints.formats import read_any

__all__ = ["load_generator", "read_any", "save_generator", "sha256_file"]
