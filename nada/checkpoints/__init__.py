"""Generators on disk: one canonical format, two more to read and write, and nothing in them is ever executed."""

from nada.checkpoints.canonical import load_generator, load_light, save_delta, save_fp16, save_generator, save_light
from nada.checkpoints.conversion import conversion_report
from nada.checkpoints.formats import inspect, read_any, write_any
from nada.checkpoints.fp16 import round_to_fp16

__all__ = [
    "conversion_report",
    "inspect",
    "load_generator",
    "load_light",
    "read_any",
    "round_to_fp16",
    "save_delta",
    "save_fp16",
    "save_generator",
    "save_light",
    "write_any",
]
