"""The sections of params.yaml as frozen models: unknown keys are errors, every number has a range.

A section travels whole to whoever uses it. Nothing here reads files' contents.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from nada.deadline import parse_deadline

Name = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
WEBHOOK = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?|\$[A-Za-z_][A-Za-z0-9_]*")
RAY_ADDRESS = re.compile(r"auto|[^\s/@:]+:[0-9]{1,5}")
WEIGHTS_SUFFIXES = {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".npz"}


def names_a_file(weights: str) -> bool:
    """Whether a CLIP's `weights` is meant as a file, not as a pretrained tag of open_clip.

    >>> names_a_file("openai"), names_a_file("clip/guide.safetensors")
    (False, True)
    """
    return "/" in weights or Path(weights).suffix in WEIGHTS_SUFFIXES or Path(weights).is_file()


class Section(BaseModel):
    """A frozen section that forbids unknown keys and silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ClipConfig(Section):
    """One open_clip model."""

    name: Name
    """Architecture, as open_clip lists it: `ViT-B-32`, or a JSON file in `guide.config_dir`."""
    weights: Name
    """A pretrained tag of open_clip (`openai`), or the path of a weights file."""


class GuideClipConfig(ClipConfig):
    """One open_clip model that guides."""

    weight: float = Field(1.0, gt=0, le=100)
    """Share in the sum of losses when several models guide."""


class ViewsConfig(Section):
    """Random views of each image before it is embedded, drawn independently for source and target.

    The directional loss sees only the direction of an edit, so a vanishing edit satisfies it; noise between
    the two views makes a large edit pay. Generators with noise of their own need none of this: leave at zero.
    """

    crop: float = Field(0.0, ge=0, lt=1)
    """Largest part of each side that a random crop removes."""
    flip: bool = False
    """Mirror at random."""
    noise: float = Field(0.0, ge=0, le=1)
    """Standard deviation of pixel noise, for images in [-1, 1]."""


class GuideConfig(Section):
    """The CLIP models that guide the training."""

    models: tuple[GuideClipConfig, ...] = Field(min_length=1, strict=False)
    config_dir: str | None = None
    """Folder of further open_clip JSON configs."""
    antialias: bool = True
    """Antialias when resizing to the model's size; the original publication did not."""
    views: ViewsConfig = ViewsConfig()


NONE, WEB = "none", "web"  # in place of a path to a published network's weights


class JudgeConfig(Section):
    """The CLIP model that scores results, which must not be one of the guides, and further networks beside it."""

    model: ClipConfig
    num_images: int = Field(400, ge=2, le=100_000)
    """Samples per domain behind every score."""
    batch_size: int = Field(50, ge=1, le=4096)
    """Pictures embedded at once; rendered are at most a megapixel at once, and half as many where memory runs out."""
    inception: Name = NONE
    """Weights of Inception v3, for FID and its kin: `web` (fetched once), a file, or `none`. On a CPU it costs 0.2 s a
    picture."""
    lpips: Name = NONE
    """Weights of LPIPS, for diversity within groups: `web` (fetched once), a folder with both files, or `none`."""


class SamplesConfig(Section):
    """How the pictures are drawn that are shown and judged."""

    count: int = Field(12, ge=1, le=256)
    """Pictures shown; how many are judged is `judge.num_images`."""
    truncation_psi: float = Field(0.7, ge=0, le=2)
    """Truncation of the pictures shown and of those behind every score."""


class GeneratorConfig(Section):
    """The pretrained generator."""

    weights: Name
    """Path of the source weights; the pretrained stage turns them into the canonical format."""


class SelectionConfig(Section):
    """Adaptive layer selection (section 4.2 of the paper)."""

    k: Literal["all", "auto"] | Annotated[int, Field(ge=1)] = "all"
    """Convolutions trained per step; `auto` follows the resolution; `all` skips the pass."""
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
    train: Literal["convs", "convs+rgb", "rgb"] = "convs"
    """Which weights learn. The paper trains convolutions alone."""
    style_mixing: float = Field(0.0, ge=0, le=1)
    """Probability that a training sample takes its fine layers from a second latent."""
    directional_weight: float = Field(1.0, ge=0)
    global_weight: float = Field(0.0, ge=0)
    """Weight of 1 - cosine to `a {target}`."""
    selection: SelectionConfig = SelectionConfig()

    @model_validator(mode="after")
    def _has_a_loss(self) -> AdaptConfig:
        if self.directional_weight == 0 and self.global_weight == 0:
            raise ValueError("directional_weight and global_weight are both 0; nothing would be learned")
        return self


class NightConfig(Section):
    """Where a night reads and writes, and on what it runs."""

    prompts: Name = "prompts.csv"
    device: Name = "auto"
    """`auto`, `cpu`, or GPUs: a list, or separated by commas: `cuda:0,cuda:1`."""
    runner: Literal["local", "ray"] = "local"
    """`local`: worker processes of this machine. `ray`: of every machine of a Ray cluster, a GPU or a core a row; needs
    the extra of that name."""
    ray_address: str | None = None
    """The cluster: `auto` for the one that this machine belongs to, or its `host:port`. None: a Ray of this machine's
    own, for as long as the night lasts."""
    workers: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Worker processes: on a CPU in all, on GPUs for each. `auto`: as many as cores and rows allow; on each GPU as many
    as its free memory has room for, four at most, and on those of a Ray cluster one."""
    seed: int = Field(0, ge=0, lt=2**31)
    micro_batch: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Pictures trained on at once, at most; `auto` takes all of a step's, and half as many whenever memory runs out.

    The gradients are those of the whole batch but for rounding, so finished rows stay finished; two rows trained
    with different numbers may differ in the last bits."""
    checkpoint_minutes: float = Field(5.0, ge=0)
    """Between two states of a row in the making, from which it goes on if its process ends; 0: after every step."""
    row_timeout_minutes: float = Field(120.0, gt=0)
    deadline: str | None = None
    """A time of day (`07:30`) or a length of time (`8h`): rows that would end later wait for the next night."""
    webhook: SecretStr | None = Field(None, exclude=True)
    """Where the night's summary is sent when it ends: an http(s) address, or `$NAME` of an environment variable that
    holds one. It is a secret: left out of every record."""
    recipe: Name = "style"
    """The recipe of rows that name none."""
    storage: Literal["delta", "full", "fp16"] = "delta"
    """How adapted generators are kept. `delta`: what changed against the pretrained one, exact and about half the
    bytes, rebuilt with the copy of it in `weights/adapted/_parents`. `full`: every file stands alone. `fp16`: likewise
    in half the bytes; weights are rounded, and judged as rounded. A change from or to `fp16` trains rows anew; one
    between `delta` and `full` holds for rows trained from then on."""

    @field_validator("device", mode="before")
    @classmethod
    def _joined(cls, value: Any) -> Any:
        return ",".join(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value

    @field_validator("ray_address", mode="before")
    @classmethod
    def _is_a_cluster(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and RAY_ADDRESS.fullmatch(value)):
            raise ValueError("expected 'auto' or host:port of a cluster to which this machine belongs")
        return value

    @field_validator("deadline", mode="before")
    @classmethod
    def _is_a_deadline(cls, value: Any) -> Any:
        if value is not None:
            parse_deadline(value if isinstance(value, str) else repr(value))
        return value

    @field_validator("webhook", mode="before")
    @classmethod
    def _is_an_address(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and WEBHOOK.fullmatch(value)):
            raise ValueError("expected an address (https://host/path) without a user name, or $NAME of a variable")
        return value


class Params(Section):
    """The whole of params.yaml."""

    night: NightConfig
    generator: GeneratorConfig
    guide: GuideConfig
    judge: JudgeConfig
    samples: SamplesConfig = SamplesConfig()
    adapt: AdaptConfig = AdaptConfig()
    recipes: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Named overrides of `adapt`; each is checked as a whole AdaptConfig."""

    def recipe(self, name: str) -> AdaptConfig:
        """`adapt` with the overrides of one recipe; sections within are merged key by key.

        Raises:
            KeyError: no such recipe.
            pydantic.ValidationError: an override is unknown or out of range.
        """
        base = self.adapt.model_dump()
        overrides = dict(self.recipes[name])
        selection = {**base["selection"], **overrides.pop("selection", {})}
        return AdaptConfig.model_validate({**base, **overrides, "selection": selection})

    @model_validator(mode="after")
    def _judge_did_not_guide(self) -> Params:
        judge = self.judge.model
        if any((model.name, model.weights) == (judge.name, judge.weights) for model in self.guide.models):
            raise ValueError(f"judge.model is also a guide ({judge.name}); a judge must not have guided the training")
        return self
