"""The section `adapt` of params.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from nada.config import Section

LayerSet = Literal["all", "shape", "shape-expanded", "texture", "no-fine"]
Precision = Literal["float32", "bfloat16"]
DRIVING = ("directional_weight", "global_weight", "moments_weight", "patch_directional_weight", "manifold_weight")
"""Of the losses that know the target; the others only hold back."""
FEW_PICTURES = 4  # a batch below has few pairs, or a covariance of next to no rank


class SelectionConfig(Section):
    """Which convolutions learn: those that the text moves most (section 4.2 of the paper), or a fixed set."""

    k: Literal["all", "auto"] | Annotated[int, Field(ge=1)] = "all"
    """Convolutions trained per step; `auto` follows the resolution; `all` skips the pass."""
    min_resolution: int = Field(4, ge=4, le=2048)
    """Pixels: convolutions of coarser features stay frozen, and with them pose, face and build (as in FreezeG)."""
    batch_size: int = Field(8, ge=1, le=256)
    iterations: int = Field(1, ge=1, le=100)
    """Gradient steps on W+ by which the layers are ranked."""
    learning_rate: float = Field(0.01, gt=0)
    every: Literal["once"] | Annotated[int, Field(ge=1)] = 1
    """Steps from one choice of the k layers to the next; `once`: at the first step, for the whole row."""
    layers: LayerSet = "all"
    """A fixed set in place of k, as in the reference's `--phase`; see `nada.methods.adapt.layer_selection`."""
    latents: Literal["fresh", "batch"] = "fresh"
    """By which latents the layers are ranked: a fresh batch of `batch_size`, as published, or the step's own training
    batch, with the noise and views of its target: nothing is drawn for the search, and its `batch_size` not read."""

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> SelectionConfig:
        if self.layers != "all" and self.k != "all":
            raise ValueError(
                f"k: {self.k} chooses by the text, layers: {self.layers} is a fixed set; leave one at 'all'"
            )
        return self


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
    give_up_after: int = Field(0, ge=0, le=1000)
    """Looks after which a row ends that has not moved towards its text: none of them saw a directional similarity of
    0.2. Rows were seen to set off as late as at their fourth look. 0: such a row has all its steps."""
    checkpoints: int = Field(0, ge=0, le=20)
    """Weights of so many looks, evenly spread, are kept beside the best, as differences: `nada pick --step` takes one.
    A row in the making holds them in memory."""
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
    together: int = Field(1, ge=1, le=64)
    """Rows of `modulation` or `style-offset` that learn in one batch, at most: of one source, seed and shape of step.
    Results differ as they do between processors: in their last bits at first. So rows that are finished stay. For GPUs,
    which small batches leave idle; a CPU gains little."""
    sparsity: float = Field(0.0, ge=0, lt=1)
    """Share of the multipliers or offsets that are given up, those that changed least; StyleDomain keeps the largest
    fifth: 0.8."""
    sparse_from: float = Field(1.0, ge=0.05, le=1)
    """Share of the iterations after which they are; the others learn on, and make up for them. 1: in the end, as
    published, which costs a small generator its prompt."""
    train: Literal["convs", "convs+rgb", "rgb"] = "convs"
    """Which layers learn. The paper trains convolutions alone."""
    style_mixing: float = Field(0.0, ge=0, le=1)
    """Probability that a training sample takes its fine layers from a second latent."""
    latent_bank: int = Field(0, ge=0, le=1_000_000)
    """Latents that all steps take in turn, each with its source's noise and views: the frozen source is rendered and
    embedded once for each, for all rows of one seed. The target's noise and views stay fresh. A multiple of
    `batch_size`; 0: fresh latents for every step, as published."""
    precision: Precision = "float32"
    """Of the generator's convolutions in a step, forward and backward; weights, styles, demodulation, guide, losses and
    Adam stay float32, and so does all that is kept and judged. bfloat16 pays for large pictures on a CPU with
    AVX512-BF16 or AMX."""
    directional_weight: float = Field(1.0, ge=0)
    global_weight: float = Field(0.0, ge=0)
    """Weight of 1 - cosine to `a {target}`."""
    moments_weight: float = Field(0.0, ge=0)
    """Weight of the moments of the edits (SVL, arXiv:2308.10554), in place of `directional_weight` or beside it: mean
    and covariance over the batch match those over the prompt templates. The paper learns its wordings first; ours are
    the templates, whose spread is that of the sentence and not of the subject."""
    patch_directional_weight: float = Field(0.0, ge=0)
    """Weight of the directional loss on a random patch of half the side, at the same place before and after. The
    reference has texts for parts of the picture; here every patch follows the whole text."""
    manifold_weight: float = Field(0.0, ge=0, validation_alias=AliasChoices("manifold_weight", "angle_weight"))
    """Weight of the reference's manifold loss: each picture's cosine to its source becomes that of the two texts.
    Records of before name it `angle_weight`."""
    in_domain_angle_weight: float = Field(0.0, ge=0)
    """Weight of the in-domain angle loss (HyperDomainNet, arXiv:2210.08884): pictures keep the cosines to each other
    that their sources have. Wants a `batch_size` of 4 or more."""
    feature_weight: float = Field(0.0, ge=0)
    """Weight of 1 - cosine of each picture to its source, by the guide."""
    texture_weight: float = Field(0.0, ge=0)
    """Weight of the distance of textures, Gram matrices of the guide's first levels (arXiv:1508.06576), to those of the
    row's `style_images`, which it needs. The reference's loss of this name compares CLIP's features with those of a
    given picture, and its training never asks for it."""
    elastic_weight: float = Field(0.0, ge=0)
    """Weight of elastic weight consolidation: the squared distance of each weight to its start, by its Fisher
    information there; in place of a selection of layers."""
    style_weight: float = Field(1.0, gt=0, le=1)
    """Share of `style_images` in the goal of rows that have them; the rest is the target text's. 1, as in the paper:
    the pictures alone."""
    frozen: Literal["start", "base"] = "start"
    """What edits are measured from: what the row starts from, or the pretrained generator behind that. They differ
    where `on` names a row, which then is where training begins."""
    selection: SelectionConfig = SelectionConfig()

    @model_validator(mode="after")
    def _has_few_numbers(self) -> AdaptConfig:
        if self.sparsity > 0 and self.parameters == "full":
            raise ValueError(
                "sparsity is for the few numbers of parameters: modulation or style-offset; with full, leave it at 0"
            )
        if self.sparse_from < 1 and self.sparsity == 0:
            raise ValueError("sparse_from says when numbers are given up, and sparsity: 0 gives up none")
        return self

    @model_validator(mode="after")
    def _bank_is_of_batches(self) -> AdaptConfig:
        if self.latent_bank % self.batch_size:
            below = self.latent_bank - self.latent_bank % self.batch_size
            raise ValueError(
                f"latent_bank: {self.latent_bank} latents are no whole batches of {self.batch_size}; "
                f"use {max(below, self.batch_size)}, or another multiple of batch_size"
            )
        return self

    @model_validator(mode="after")
    def _has_a_loss(self) -> AdaptConfig:
        if not any(getattr(self, name) for name in DRIVING):
            others = ", ".join(DRIVING[2:])
            raise ValueError(
                f"directional_weight and global_weight are both 0 ({others} too); nothing would be learned"
            )
        return self

    @model_validator(mode="after")
    def _has_pairs(self) -> AdaptConfig:
        for name in self.of_pairs:
            if self.batch_size < 2:
                raise ValueError(f"{name} compares pictures of a step; batch_size is 1, use {FEW_PICTURES} or more")
        return self

    @property
    def most_pictures(self) -> int:
        """That are computed at once unless memory is short: of the training batch, or of a search with its own."""
        selects = self.selection.latents == "fresh"
        return max(self.batch_size, self.selection.batch_size if selects else 0)

    @property
    def is_light(self) -> bool:
        """Whether what learns are a few numbers, on weights that are shared."""
        return self.parameters != "full"

    @property
    def of_pairs(self) -> list[str]:
        """Losses in use that look at several pictures together."""
        return [name for name in ("in_domain_angle_weight", "moments_weight") if getattr(self, name)]
