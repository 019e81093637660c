"""Three small networks of faces behind one array a picture. Legend: N batch, R side of the pictures in pixels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from nada.errors import CheckpointError
from nada.judge.faces import age, expression, identity
from nada.judge.faces.layers import State
from nada.judge.spaces import FINGERPRINT_DIGITS

NETWORKS = (expression.FILE, age.FILE, identity.FILE)
BOX = (0.18, 0.24, 0.82, 0.88)
"""Left, top, right and bottom of the face in a portrait that is aligned as FFHQ's are, as parts of its side."""
NUM_EXPRESSIONS = len(expression.EXPRESSIONS)
SMILING = expression.EXPRESSIONS.index("happy")
AGE, MAN = NUM_EXPRESSIONS, NUM_EXPRESSIONS + 1
DESCRIPTOR = slice(NUM_EXPRESSIONS + 2, NUM_EXPRESSIONS + 2 + identity.WIDTH)


class Faces:
    """What the networks of the package @vladmandic/face-api say of portraits that fill their picture as FFHQ's do."""

    name: str
    resizing = "the middle of the face, bilinear, antialiased, to 112 and 150 px"

    def __init__(self, states: Mapping[str, State], fingerprint: str, device: str = "cpu") -> None:
        """Keep the weights.

        Args:
            states: of `read_package`, by `NETWORKS`.
            fingerprint: hexadecimal sha256 of the package.
            device: where to compute.

        Raises:
            CheckpointError: weights of other networks.
        """
        self.name = f"face-api@{fingerprint[:FINGERPRINT_DIGITS]}"
        self.fingerprint = fingerprint
        self._states = {name: {key: tensor.to(device) for key, tensor in states[name].items()} for name in NETWORKS}
        self._device = device
        try:
            self.features(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
        except RuntimeError as err:
            raise CheckpointError(f"tensors of other shapes than face-api's ({str(err).splitlines()[0]})") from err

    @torch.no_grad()
    def features(self, img_u8: Tensor) -> NDArray[np.float64]:
        """[N, 3, R, R] bytes -> [N, 137] float64: seven expressions, years, a man, and 128 of who it is."""
        size = img_u8.shape[2]
        left, top, right, bottom = (round(part * size) for part in BOX)
        face = img_u8[:, :, top:bottom, left:right].to(self._device).float()
        small, larger = (_resized(face, side) for side in (age.SIDE_PX, identity.SIDE_PX))
        parts = [
            expression.expressions(self._states[expression.FILE], small),
            age.age_and_gender(self._states[age.FILE], small),
            identity.descriptors(self._states[identity.FILE], larger),
        ]
        return np.asarray(torch.cat(parts, dim=1).double().cpu().numpy(), dtype=np.float64)


def _resized(face: Tensor, side: int) -> Tensor:
    return F.interpolate(face, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
