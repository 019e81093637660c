"""Inception v3, for FID and its kin. Legend: N batch, H W pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nada.errors import CheckpointError
from nada.judge.spaces import FINGERPRINT_DIGITS

INCEPTION_LAYER = "2048"  # the pooled features of FID, as torch-fidelity names them


class Inception:
    """Inception v3 as FID is published with (the TensorFlow weights of 2015), through torch-fidelity."""

    resizing = "bilinear as in TensorFlow 1 to 299 px"

    def __init__(self, state: Mapping[str, Tensor], fingerprint: str, device: str = "cpu") -> None:
        """Build the network.

        Args:
            state: the weights that torch-fidelity publishes.
            fingerprint: hexadecimal sha256 of their file.
            device: where to compute.

        Raises:
            CheckpointError: weights of another network.
        """
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        import nada.clip.open_clip_import  # noqa: F401  # torchvision, which torch-fidelity imports, needs it first

        weights = io.BytesIO()  # torch-fidelity unpickles whatever it is given, so it is given tensors of ours
        torch.save(dict(state), weights)
        weights.seek(0)
        try:
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", [INCEPTION_LAYER], feature_extractor_weights_path=weights
            )
        except RuntimeError as err:
            raise CheckpointError(f"{_first_line(err)}; expected torch-fidelity's Inception weights") from err
        self.name = f"Inception-v3-{INCEPTION_LAYER}@{fingerprint[:FINGERPRINT_DIGITS]}"
        self.fingerprint = fingerprint
        self._network: nn.Module = network.to(device)
        self._device = device

    @torch.no_grad()
    def features(self, img_u8: Tensor) -> NDArray[np.float64]:
        """[N, 3, H, W] bytes -> [N, 2048] float64."""
        (features,) = self._network(img_u8.to(self._device))
        return np.asarray(features.double().cpu().numpy(), dtype=np.float64)


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 else (lines or [type(err).__name__])[0]
