"""The one place that imports open_clip, so that it also works beside a CPU build of torch.

torchvision's compiled extension cannot load beside a CPU build, and importing torchvision then fails on two
operators that nothing here calls. Declaring them is enough; where the extension loads, it declares them itself.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch

MISSING_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


def _extension_loads() -> bool:
    """Whether torchvision brought an extension that fits this torch; loading it declares its operators."""
    spec = importlib.util.find_spec("torchvision")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for extension in Path(folder).glob("_C*.so"):
            try:
                torch.ops.load_library(extension)  # type: ignore[no-untyped-call]
            except OSError:
                return False
            return True
    return False


if not _extension_loads():
    # The library object must outlive the declarations.
    _TORCHVISION = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for _schema in MISSING_OPERATORS:
        _TORCHVISION.define(_schema)  # type: ignore[no-untyped-call]

import open_clip  # noqa: E402

__all__ = ["open_clip"]
