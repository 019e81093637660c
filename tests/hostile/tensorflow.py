"""Pickles of TensorFlow networks that lie."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from tests.checkpoint_files import nvidia_modules
from tests.conftest import tiny_generator
from tests.hostile.common import SOUND, Files, attack
from tests.tensorflow_files import Network, tensorflow_network


def false_tensorflow(marker: Path) -> Files:
    """The averaged generator with other parts; its source text, which would raise, is in every one."""
    state = tiny_generator().state_dict()

    def mean(value: Any) -> dict[str, Any]:
        return {"variables": [("dlatent_avg", value)]}

    changes: dict[str, dict[str, Any]] = {
        f"{SOUND}network of TensorFlow": {},
        "a version of control codes": {"version": "\x1b[2J\n"},
        "no arguments, no parts": {"static_kwargs": [1], "components": [2], "variables": 3},
        "an argument of control codes": {"static_kwargs": {"\x1b[2J\n": 1}},
        "classes": {"static_kwargs": {"label_size": 1 << 100}},
        "a network for its own part": {"components": {"mapping": Network({}), "synthesis": Network({})}},
        "an attack for a part": {"components": {"mapping": attack(marker)}},
        "an attack among the arguments": {"static_kwargs": {"func_name": attack(marker)}},
        "an attack for a variable": mean(attack(marker)),
        "a variable that is a text": mean("x" * 32),
        "an array of objects": mean(np.array([None] * 8)),
        "an array of texts": mean(np.array(["x"] * 8)),
        "an array of doubles": mean(np.zeros(8)),
        "an array without numbers": mean(np.zeros(0, np.float32)),
        "an array of another length": mean(np.zeros(9, np.float32)),
        "an array in the other byte order": mean(np.zeros(8, ">f4")),
        "an array column by column": mean(np.asfortranarray(np.zeros((2, 4), np.float32))),
        "an array of 32 dimensions": mean(np.zeros((1,) * 31 + (8,), np.float32)),
        "an array that is no number": mean(np.full(8, np.nan, np.float32)),
        "pairs that are none": {"variables": [("dlatent_avg",), 3, ("a", "b", "c"), (1, 2)]},
    }
    files = {name: stored(tensorflow_network(state, **change)) for name, change in changes.items()}
    sound = stored(tensorflow_network(state))
    shape = b"K\x08\x85q"  # (8,), of the mean w
    files["an array of a giant shape"] = sound.replace(shape, b"J\xff\xff\xff\x7f\x85q")
    files["an array of a negative shape"] = sound.replace(shape, b"J\xff\xff\xff\xff\x85q")
    return {f"{name} (TensorFlow).pkl": content for name, content in files.items()}


def stored(network: Network) -> bytes:
    with nvidia_modules({"dnnlib.tflib.network": [Network]}):
        # Not protocol 4: a replaced shape may be longer, and its frames have lengths.
        return pickle.dumps((Network({}), Network({}), network), protocol=3)
