"""A domain with its mapping as one ONNX file, and how far onnxruntime's pictures of it are off.

    z               [N, Z] float32, standard normal
    truncation_psi  a number, float32: 1 is all variety, 0.7 tamer
    img             [N, 3, R, R] float32, RGB, about [-1, 1]

Noise is the fixed maps that are stored with the weights, so the same z is the same picture in every runtime.
Legend: N batch, Z latent width, L style layers, W_DIM latent width, R resolution in pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from nada.atomic import replacing
from nada.checkpoints.onnx.operators import OPSET
from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.latents import draw_z, seeded_rng

SUFFIX = ".onnx"
IR_VERSION = 8  # of the file; what goes with the opset
MOST_BYTES = (2 << 30) - (1 << 20)  # protobuf reads no larger file
NUM_LATENTS, PSIS = 2, (1.0, 0.6)  # that are compared; another N than the one of the recording
MOST_DIFFERENCE = 0.05  # of [-1, 1]; measured: 0.002 at most
INSTALL = "pip install 'nada[onnx]'"


@dataclass(frozen=True, kw_only=True)
class OnnxFile:
    """A file that was written, and how true it is."""

    path: Path
    bytes: int
    opset: int
    image_difference: float
    """Largest absolute difference of a channel's value between onnxruntime and PyTorch, of images in [-1, 1]."""


class Drawing(nn.Module):
    """z and truncation to pictures, the truncation as a tensor.

    Args:
        domain: any; its mapping at truncation 0 is the mean w.
    """

    def __init__(self, domain: Domain) -> None:
        super().__init__()
        self.domain = domain
        with torch.no_grad():
            self.mean = domain.mapping(torch.zeros(1, domain.z_dim), 0.0).clone()  # [1, L, W_DIM]

    def forward(self, z: Tensor, truncation_psi: Tensor) -> Tensor:
        ws = self.mean + (self.domain.mapping(z) - self.mean) * truncation_psi
        return self.domain.synthesis(ws, "const")


def check_installed() -> None:
    """Refuse where the extra is missing, before anything is opened.

    Raises:
        CheckpointError: says what to install.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as err:
        raise CheckpointError(f"ONNX takes a package that is not installed ({err.name}): {INSTALL}") from err


def save_onnx(path: Path, domain: Domain, about: Mapping[str, str]) -> OnnxFile:
    """Write a domain, whole or not at all, and compare it with what it came from. The same domain, the same bytes.

    Args:
        path: the file.
        domain: on the CPU.
        about: what the file says of itself, such as the domain's name.

    Raises:
        CheckpointError: the extra is not installed, the domain takes an operation that is not known as ONNX, it is too
            large for one file, or onnxruntime draws something else.
        OutputError: it cannot be written.
    """
    check_installed()
    from onnx import helper

    from nada.checkpoints.onnx.recording import record

    drawing = Drawing(domain).eval()
    try:
        graph = record(drawing, domain.z_dim, domain.resolution)
    except CheckpointError as err:
        raise CheckpointError(f"{path}: {err}; .safetensors, .pkl and .pt hold it") from err
    num_bytes = sum(len(constant.raw_data) for constant in graph.initializer)
    if num_bytes > MOST_BYTES:
        raise CheckpointError(f"{path}: {num_bytes / 1e9:.1f} GB; one file of ONNX holds less than 2 GB")
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, producer_name="nada", opset_imports=opset, ir_version=IR_VERSION)
    helper.set_model_props(model, {"img": "RGB, about [-1, 1]", "noise": "fixed", **about})
    content = model.SerializeToString(deterministic=True)
    difference = _difference(content, drawing)
    if not difference <= MOST_DIFFERENCE:  # nor what is no number
        raise CheckpointError(
            f"{path}: onnxruntime's pictures would be {difference:.2g} off PyTorch's, of [-1, 1]; at most "
            f"{MOST_DIFFERENCE} is allowed, so nothing is written; .safetensors, .pkl and .pt hold it"
        )
    with replacing(path) as partial:
        partial.write_bytes(content)
    return OnnxFile(path=path, bytes=len(content), opset=OPSET, image_difference=difference)


@torch.no_grad()
def _difference(content: bytes, drawing: Drawing) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    rng, largest = seeded_rng(0), list[float]()
    for psi in PSIS:
        z = draw_z(NUM_LATENTS, drawing.domain, rng)
        (img,) = session.run(None, {"z": z.numpy(), "truncation_psi": np.array(psi, np.float32)})
        largest.append(np.abs(img - drawing(z, torch.tensor(psi)).numpy()).max())
    return float(np.max(largest))  # which keeps what is no number
