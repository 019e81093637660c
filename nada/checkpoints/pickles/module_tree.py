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
MAX_TENSORS = 10_000  # and 173 tensors
MAX_NAME = 64  # characters of a part of a dotted name: L13_1024_32 has 11


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
        waiting = [("", root)]
        while waiting:
            prefix, module = waiting.pop()
            for name, child in table(module, "_modules").items():
                if isinstance(child, InertModule) and _is_short(name):
                    found[f"{prefix}{name}"] = child
                    waiting.append((f"{prefix}{name}.", child))
            if len(found) > MAX_MODULES:
                raise CheckpointError(f"{path}: more than {MAX_MODULES} modules in 'G_ema'; the file is damaged")
        return cls(path, root, found)

    def tensors(self) -> dict[str, Tensor]:
        """Every parameter and buffer by its dotted name.

        Raises:
            CheckpointError: there are too many to be those of a network.
        """
        groups = [
            (prefix, table(module, group))
            for prefix, module in self.modules.items()
            for group in ("_parameters", "_buffers")
        ]
        if sum(len(group) for _, group in groups) > MAX_TENSORS:
            raise CheckpointError(f"{self.path}: more than {MAX_TENSORS} tensors in 'G_ema'; the file is damaged")
        return {
            f"{prefix}.{name}": tensor
            for prefix, group in groups
            for name, tensor in group.items()
            if isinstance(tensor, Tensor) and _is_short(name)
        }

    def matching(self, pattern: str) -> list[InertModule]:
        """The modules whose whole name fits a regular expression."""
        return [module for name, module in self.modules.items() if re.fullmatch(pattern, name)]


def _is_short(name: object) -> bool:
    return isinstance(name, str) and len(name) <= MAX_NAME


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
