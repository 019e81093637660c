"""Generators on disk: one canonical format, two more to read and write, and nothing in them is ever executed."""

from nada.checkpoints.canonical import load_generator, save_delta, save_generator, save_half
from nada.checkpoints.conversion import conversion_report
from nada.checkpoints.formats import inspect, read_any, write_any
from nada.checkpoints.half import round_to_half

__all__ = [
    "conversion_report",
    "inspect",
    "load_generator",
    "read_any",
    "round_to_half",
    "save_delta",
    "save_generator",
    "save_half",
    "write_any",
]
