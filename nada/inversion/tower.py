"""The image tower of a CLIP at several levels: what comes out of some of its blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

LEVELS = 4  # spread evenly from the first blocks to the last
TOWERS = ("transformer.resblocks", "trunk.blocks", "trunk.stages", "trunk.layers")
"""Where open_clip's image towers keep their blocks; a ModifiedResNet's are `layer1` to `layer4`."""


def tower_levels(visual: nn.Module) -> list[nn.Module]:
    """Blocks of a CLIP's image tower, from its first to its last; none where the tower is of an unknown kind."""
    modules: dict[str, nn.Module] = dict(visual.named_modules())
    blocks: list[Any] = [modules[name] for name in ("layer1", "layer2", "layer3", "layer4") if name in modules]
    for name in TOWERS:
        blocks = blocks or list(modules[name].children() if name in modules else ())
    num = min(LEVELS, len(blocks))
    return [blocks[round((level + 1) * len(blocks) / num) - 1] for level in range(num)]


@contextmanager
def seen(modules: list[nn.Module]) -> Iterator[list[Tensor]]:
    """Within it, what modules put out is added to the list."""
    outputs: list[Tensor] = []
    hooks = [module.register_forward_hook(lambda _, __, output: outputs.append(output)) for module in modules]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
