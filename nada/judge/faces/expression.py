"""Which of seven expressions a face has: four dense blocks of separable convolutions. Legend: N batch, C channels."""

from __future__ import annotations

from torch import Tensor

from nada.judge.faces.layers import State, conv, dense, normalised, separable_conv

FILE = "face_expression_model"
SIDE_PX = 112
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")


def expressions(state: State, img: Tensor) -> Tensor:
    """Faces [N, 3, 112, 112] of levels in [0, 255] -> probabilities [N, 7]."""
    x = normalised(img)
    for block in range(4):
        x = _dense_block(x, state, f"dense{block}", is_first=block == 0)
    return dense(x.mean(dim=(2, 3)), state, "fc").softmax(dim=1)


def _dense_block(x: Tensor, state: State, at: str, is_first: bool) -> Tensor:
    """Half the side; each layer sees the sum of all before it."""
    first = conv if is_first else separable_conv
    total = first(x, state, f"{at}/conv0", 2).relu()
    for layer in (1, 2, 3):
        total = total + separable_conv(total.relu(), state, f"{at}/conv{layer}")
    return total.relu()
