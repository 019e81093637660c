"""Pretrained generators below finished domains, each loaded and hashed once in a process, however many build on it.

A generator is known by its bytes, wherever it lies; a file by its stamps, so that one that was replaced is read anew.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from nada.checkpoints import load_generator
from nada.generators.registry import Network
from nada.hashing import sha256_file
from tasks.caches.stat_cache import times

KEPT = 2  # generators; more would only take memory

_networks: dict[tuple[str, str], Network] = {}


def base_network(path: Path, device: str) -> Network:
    """The generator of a whole canonical file: shared, so nobody trains or overwrites it.

    Raises:
        CheckpointError: missing or damaged.
    """
    if not path.is_file():
        return load_generator(path, device)  # says what is wrong
    key = base_sha256(path), device
    network = _networks.pop(key, None) or load_generator(path, device)
    while len(_networks) >= KEPT:
        del _networks[next(iter(_networks))]
    _networks[key] = network
    return network


def base_sha256(path: Path) -> str:
    """Of a file.

    Raises:
        OSError: it cannot be read.
    """
    return _sha256(path.absolute(), times(path.stat()))


@lru_cache(maxsize=64)
def _sha256(path: Path, stamp: tuple[int, ...]) -> str:
    return sha256_file(path)
