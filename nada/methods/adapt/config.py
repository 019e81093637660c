"""The section `adapt` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nada.config import Section


class SelectionConfig(Section):
    """Adaptive layer selection (section 4.2 of the paper)."""

    k: Literal["all", "auto"] | Annotated[int, Field(ge=1)] = "all"
    """Convolutions trained per step; `auto` follows the resolution; `all` skips the pass."""
    min_resolution: int = Field(4, ge=4, le=2048)
    """Pixels: convolutions of coarser features stay frozen, and with them pose, face and build (as in FreezeG)."""
    batch_size: int = Field(8, ge=1, le=256)
    iterations: int = Field(1, ge=1, le=100)
    """Gradient steps on W+ by which the layers are ranked."""
    learning_rate: float = Field(0.01, gt=0)


class AdaptConfig(Section):
    """One adaptation: how long, how fast, what is trained, and by which losses."""

    iterations: int = Field(300, ge=1, le=1_000_000)
    """Steps; with `stop: auto` at most."""
    stop: Literal["fixed", "auto"] = "fixed"
    """`auto`: the judge looks at the row now and then, and the best weights that it saw are kept; a row whose CSV line
    names its iterations trains that many."""
    probe_every: int = Field(20, ge=1, le=100_000)
    """Steps from one look to the next."""
    probe_images: int = Field(32, ge=4, le=10_000)
    """Samples of each look."""
    batch_size: int = Field(2, ge=1, le=1024)
    learning_rate: float = Field(0.0016, gt=0, le=1)
    """0.002 x 4/5, the ratio of StyleGAN2's lazy regularisation."""
    beta2: float = Field(0.99**0.8, ge=0, lt=1)
    decay: Literal["constant", "cosine"] = "constant"
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of the averaged weights that are kept; 0 keeps the last weights."""
    parameters: Literal["full", "modulation", "style-offset"] = "full"
    """What of a layer learns: its weights; one multiplier for each channel that it reads (HyperDomainNet,
    arXiv:2210.08884); or an offset of its styles (StyleDomain, arXiv:2212.10229). The last two are kilobytes, want
    a rate about twenty times as high and, as published, leave more variety and less of the style."""
    sparsity: float = Field(0.0, ge=0, lt=1)
    """Share of the multipliers or offsets that are given up in the end, those that changed least; StyleDomain keeps
    the largest fifth: 0.8."""
    train: Literal["convs", "convs+rgb", "rgb"] = "convs"
    """Which layers learn. The paper trains convolutions alone."""
    style_mixing: float = Field(0.0, ge=0, le=1)
    """Probability that a training sample takes its fine layers from a second latent."""
    directional_weight: float = Field(1.0, ge=0)
    global_weight: float = Field(0.0, ge=0)
    """Weight of 1 - cosine to `a {target}`."""
    selection: SelectionConfig = SelectionConfig()

    @model_validator(mode="after")
    def _has_few_numbers(self) -> AdaptConfig:
        if self.sparsity > 0 and self.parameters == "full":
            raise ValueError(
                "sparsity is for the few numbers of parameters: modulation or style-offset; with full, leave it at 0"
            )
        return self

    @model_validator(mode="after")
    def _has_a_loss(self) -> AdaptConfig:
        if self.directional_weight == 0 and self.global_weight == 0:
            raise ValueError("directional_weight and global_weight are both 0; nothing would be learned")
        return self
