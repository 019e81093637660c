"""The style space S: what the affine of each layer makes of w, and the picture that is drawn from it.

S lies between ws and the picture: the affines give a layer's `s`, [N, C], which scales the input channels of its
convolution. Here `s` is always what the affine puts out: toRGB multiplies it by its gain later, as in the PyTorch code
of StyleCLIP's global directions (arXiv:2103.17249), and a StyleGAN3's `input` normalises it later. The StyleGAN3 code
of arXiv:2201.13433 names its styles likewise, but stores those two after these steps.
Legend: N batch, C channels, L style layers, W_DIM latent width, R resolution.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from nada.errors import ShapeError
from nada.generators.mapping_network import FullyConnected
from nada.generators.protocol import NetworkConfig, Noise, Styles


class StyleSynthesis(nn.Module, ABC):
    """ws [N, L, W_DIM] -> styles -> img [N, 3, R, R], about [-1, 1]; see `nada.generators.protocol.Synthesis`.

    Every style layer of the architecture is a submodule with an `affine`, and so is whatever else ws drives, such as a
    family's `input`.
    """

    def __init__(self, config: NetworkConfig, input_rows: dict[str, int]) -> None:
        super().__init__()
        self.rows = input_rows | {layer.name: layer.ws_index for layer in config.style_layers()}
        self.num_ws, self.w_dim = 1 + max(self.rows.values()), config.w_dim

    def forward(self, ws: Tensor, noise: Noise = "const") -> Tensor:
        return self.from_styles(self.styles(ws), noise)

    def styles(self, ws: Tensor) -> Styles:
        """[N, L, W_DIM] -> what each affine makes of its row.

        Raises:
            ShapeError: `ws` of another generator.
        """
        if ws.ndim != 3 or ws.shape[1:] != (self.num_ws, self.w_dim):
            raise ShapeError(f"ws: expected [N, {self.num_ws}, {self.w_dim}], got {list(ws.shape)}")
        return {name: self._affine(name)(ws[:, row]) for name, row in self.rows.items()}

    @abstractmethod
    def from_styles(self, styles: Styles, noise: Noise = "const") -> Tensor:
        """Styles -> img [N, 3, R, R].

        Raises:
            ShapeError: styles or noise of another generator.
        """

    def in_order(self, styles: Styles) -> list[Tensor]:
        """The tensors, [N, C] each, in the order in which they are used.

        Raises:
            ShapeError: of other names or shapes than `styles` gives.
        """
        if styles.keys() != self.rows.keys():
            wrong = min(styles.keys() ^ self.rows.keys())
            problem = "is missing" if wrong in self.rows else "drives nothing"
            raise ShapeError(f"styles: {wrong!r} {problem}; expected those that synthesis.styles(ws) gives")
        ordered = [styles[name] for name in self.rows]
        for name, found in zip(self.rows, ordered, strict=True):
            expected = (len(ordered[0]), len(self._affine(name).bias))
            if found.shape != expected:
                raise ShapeError(f"styles: {name}: expected {list(expected)}, got {list(found.shape)}")
        return ordered

    def _affine(self, name: str) -> FullyConnected:
        affine = self.get_submodule(f"{name}.affine")
        assert isinstance(affine, FullyConnected)
        return affine
