"""The section `directions` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from nada.config import Section

MOST_ALPHA = 100.0

Strength = Annotated[float, Field(ge=-10, le=10)]


class ChannelsConfig(Section):
    """What is found out about every channel of the style space, once for a generator and a guide."""

    num_samples: int = Field(100_000, ge=100, le=10_000_000)
    """Latents behind a channel's mean and standard deviation; they are not rendered."""
    num_images: int = Field(100, ge=1, le=10_000)
    """Pictures behind a channel's relevance, each rendered twice: with the channel set far down, and far up."""
    sigmas: float = Field(5.0, gt=0, le=100)
    """How far: standard deviations from the channel's mean."""
    truncation_psi: float = Field(0.7, gt=0, le=2)
    """Of these latents."""
    max_resolution: int = Field(128, ge=4, le=2048)
    """Pixels: layers above stay as they are, for they hold textures finer than a text names, and cost the most."""
    layers: Literal["convs", "convs+rgb", "rgb"] = "convs"
    """Whose channels may move, as in `adapt.train`: those of toRGB layers alone change colours and leave every edge."""

    def covers(self, resolution: int, is_rgb: bool) -> bool:
        """Whether the channels of such a layer are measured, and may move.

        >>> ChannelsConfig(layers="rgb").covers(64, is_rgb=True), ChannelsConfig().covers(256, is_rgb=False)
        (True, False)
        """
        return resolution <= self.max_resolution and self.layers in ("convs+rgb", "rgb" if is_rgb else "convs")


class DirectionsConfig(Section):
    """One edit: how strong, and how many channels it may touch."""

    alpha: float = Field(4.0, ge=-MOST_ALPHA, le=MOST_ALPHA)
    """Strength: standard deviations by which the most relevant channel moves, typically 3 to 4; negative goes the other
    way."""
    beta: float = Field(0.15, ge=0, lt=1)
    """Channels whose relevance to the text is smaller stay as they are; typically 0.15 to 0.2. The larger, the fewer
    channels move, and the more the edit is of this alone."""
    strengths: tuple[Strength, ...] = Field((-1.0, 0.0, 0.5, 1.0, 1.5), min_length=1, max_length=12, strict=False)
    """The strip of the report: times `alpha`."""
    strip_latents: int = Field(4, ge=1, le=32)
    """Latents in that strip."""
    channels: ChannelsConfig = ChannelsConfig()

    @model_validator(mode="after")
    def _moves(self) -> DirectionsConfig:
        if self.alpha == 0:
            raise ValueError("alpha is 0, at which nothing moves; typical are 3 to 4")
        return self
