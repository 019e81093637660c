"""open_clip, importable beside a CPU build of torch.

torchvision's compiled extension cannot load there, and its import then fails on two operators that nothing here
uses. Declaring them first is enough.
"""

import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    _LIBRARY = torch.library.Library("torchvision", "DEF")
    _LIBRARY.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _LIBRARY.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import open_clip

__all__ = ["open_clip"]
