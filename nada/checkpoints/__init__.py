"""Generators on disk: one canonical format, two more to read and write, and nothing in them is ever executed."""

from nada.checkpoints.canonical import load_generator, save_generator
from nada.checkpoints.conversion import conversion_report
from nada.checkpoints.formats import inspect, read_any, write_any

__all__ = [
    "conversion_report",
    "inspect",
    "load_generator",
    "read_any",
    "save_generator",
    "write_any",
]
