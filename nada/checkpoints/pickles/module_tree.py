"""NVIDIA's networks as plain data: a tree of modules, each kept as class name and attributes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from nada.checkpoints.pickles.allowlist import InertModule
from nada.errors import CheckpointError, shown

MAX_MODULES = 1000  # a 1024 px generator has 79; a damaged tree may contain itself
MAX_ENTRIES = 10_000  # and some 1000 entries in all of its tables; one table may stand in many modules
MAX_NAME = 64  # characters of a dotted name: synthesis.L13_1024_32.affine.weight has 35
TABLES = ("_modules", "_parameters", "_buffers", "_init_kwargs")


@dataclass(frozen=True)
class ModuleTree:
    """A network of a pickle, and every module below it by its dotted name."""

    path: Path
    root: InertModule
    modules: dict[str, InertModule]

    @classmethod
    def walk(cls, path: Path, root: InertModule) -> ModuleTree:
        """Find every module.

        Raises:
            CheckpointError: there are too many to be a network.
        """
        found: dict[str, InertModule] = {}
        waiting, num_entries = [("", root)], 0
        while waiting:
            prefix, module = waiting.pop()
            num_entries += sum(len(table(module, name)) for name in TABLES)
            if num_entries > MAX_ENTRIES:
                raise CheckpointError(f"{path}: more than {MAX_ENTRIES} entries in 'G_ema'; the file is damaged")
            for name, child in table(module, "_modules").items():
                if isinstance(child, InertModule) and _is_short(prefix, name):
                    found[f"{prefix}{name}"] = child
                    waiting.append((f"{prefix}{name}.", child))
            if len(found) > MAX_MODULES:
                raise CheckpointError(f"{path}: more than {MAX_MODULES} modules in 'G_ema'; the file is damaged")
        return cls(path, root, found)

    def tensors(self) -> dict[str, Tensor]:
        """Every parameter and buffer by its dotted name."""
        return {
            f"{prefix}.{name}": tensor
            for prefix, module in self.modules.items()
            for group in ("_parameters", "_buffers")
            for name, tensor in table(module, group).items()
            if isinstance(tensor, Tensor) and _is_short(prefix, name)
        }

    def matching(self, pattern: str) -> list[InertModule]:
        """The modules whose whole name fits a regular expression."""
        return [module for name, module in self.modules.items() if re.fullmatch(pattern, name)]


def _is_short(prefix: str, name: object) -> bool:
    return isinstance(name, str) and len(prefix) + len(name) <= MAX_NAME


def table(module: InertModule, key: str) -> Mapping[Any, Any]:
    """One of a module's tables of parameters, buffers or modules; empty where it has none."""
    content = module.state.get(key)
    return content if isinstance(content, Mapping) else {}


def stated(modules: Iterable[InertModule], key: str) -> set[Any]:
    """Every value of a setting: an attribute of a module, else among the arguments it was built with."""
    found = set()
    for module in modules:
        arguments = table(module, "_init_kwargs")
        nested = [content for content in arguments.values() if isinstance(content, Mapping)]  # synthesis_kwargs
        for content in (module.state, arguments, *nested):
            if key in content:
                value = content[key]
                found.add(value if isinstance(value, str | int | float | None) else f"a {type(value).__name__}")
                break
    return found


def listed(values: set[Any]) -> str:
    """Values for a message."""
    return ", ".join(sorted(shown(value) for value in values))


def conv_clamp(tree: ModuleTree) -> float | None:
    """The limit of activations, as each layer states it; else as the generator's arguments do; else none.

    Raises:
        CheckpointError: the layers differ, or it is no number.
    """
    found = stated(tree.matching(r"synthesis\..*"), "conv_clamp") or stated([tree.root], "conv_clamp") or {None}
    if len(found) > 1:
        raise CheckpointError(f"{tree.path}: layers clamp differently ({listed(found)}); expected one conv_clamp")
    clamp = found.pop()
    if clamp is not None and not isinstance(clamp, int | float):
        raise CheckpointError(f"{tree.path}: conv_clamp is {shown(clamp)}; expected a number or None")
    return None if clamp is None else float(clamp)
