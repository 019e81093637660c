"""The whole of params.yaml as frozen models; sections that the method itself reads are in `nada`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SecretStr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from nada.config import GuideConfig, JudgeConfig, Name, SamplesConfig, Section
from nada.methods.base import Storage
from nada.methods.registry import METHODS, find_method
from tasks.config.recipes import DEFAULT_METHOD, METHOD_KEY, default_recipes, merged
from tasks.plan.deadline import parse_deadline

WEBHOOK = re.compile(r"https?://[^\s/?#@]+(?:[/?#]\S*)?|\$[A-Za-z_][A-Za-z0-9_]*")


RAY_ADDRESS = re.compile(r"auto|[^\s/@:]+:[0-9]{1,5}")


class GeneratorConfig(Section):
    """The pretrained generator."""

    weights: Name
    """Path of the source weights; the pretrained stage turns them into the canonical format."""


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
    seed: int = Field(0, ge=0, le=2**31 - 1)
    micro_batch: Literal["auto"] | Annotated[int, Field(ge=1, le=1024)] = "auto"
    """Pictures trained on at once, at most; `auto` takes all of a step's, and half as many whenever memory runs out.

    The gradients are those of the whole batch but for rounding, so finished rows stay finished; two rows trained
    with different numbers may differ in the last bits."""
    checkpoint_minutes: float = Field(5.0, ge=0)
    """Between two states of a row in the making, from which it goes on if its process ends; 0: after every step."""
    row_timeout_minutes: float = Field(120.0, gt=0)
    """A row that takes longer is lost; what rows share being prepared is not counted."""
    deadline: str | None = None
    """A time of day (`07:30`) or a length of time (`8h`): rows that would end later wait for the next night."""
    stop_after_alike: int = Field(5, ge=0, le=10_000)
    """After so many rows in a row that failed with the same message, rows of their recipe and generator are left to the
    next run; 0: never. Workers that die do not count."""
    webhook: SecretStr | None = Field(None, exclude=True)
    """Where the night's summary is sent when it ends: an http(s) address, or `$NAME` of an environment variable that
    holds one. It is a secret: left out of every record."""
    recipe: Name = "style"
    """The recipe of rows that name none, if it is one of their method's."""
    storage: Storage = "delta"
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

    night: NightConfig = Field(default_factory=NightConfig)
    generator: GeneratorConfig
    guide: GuideConfig
    judge: JudgeConfig
    samples: SamplesConfig = SamplesConfig()
    methods: dict[str, SerializeAsAny[Section]] = Field(default_factory=dict)
    """Method -> its section, which stands in params.yaml under the method's own name."""
    recipes: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    """Named overrides of a method's section; each is checked as a whole section. Those of this project alone: others
    come with nada."""

    @property
    def known_recipes(self) -> dict[str, Mapping[str, Any]]:
        """The project's recipes, then those of nada that it does not replace."""
        return {**self.recipes, **{name: one for name, one in default_recipes().items() if name not in self.recipes}}

    def _recipe(self, name: str) -> Mapping[str, Any]:
        return self.recipes[name] if name in self.recipes else default_recipes()[name]

    def recipe_method(self, name: str) -> str:
        """Whose section a recipe overrides.

        Raises:
            KeyError: no such recipe.
        """
        method: str = self._recipe(name).get(METHOD_KEY, DEFAULT_METHOD)
        return method

    def recipe(self, name: str) -> Section:
        """A method's section with the overrides of one recipe.

        Raises:
            KeyError: no such recipe.
            pydantic.ValidationError: an override is unknown or out of range.
        """
        base = self.methods[self.recipe_method(name)]
        overrides = {key: value for key, value in self._recipe(name).items() if key != METHOD_KEY}
        return type(base).model_validate(merged(base.model_dump(), overrides))

    @model_validator(mode="before")
    @classmethod
    def _take_sections_of_methods(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        if "methods" in content:
            raise ValueError("methods: no section of that name; each method has one of its own")
        models = {name: find_method(name).config_model for name in METHODS}
        sections = {name: model.model_validate(content.get(name, {})) for name, model in models.items()}
        return {**{name: value for name, value in content.items() if name not in METHODS}, "methods": sections}

    @model_serializer(mode="wrap")
    def _give_sections_of_methods(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        sections = content.pop("methods", {})
        return {**content, **sections}

    @model_validator(mode="after")
    def _judge_did_not_guide(self) -> Params:
        judge = self.judge.model
        if any((model.name, model.weights) == (judge.name, judge.weights) for model in self.guide.models):
            raise ValueError(f"judge.model is also a guide ({judge.name}); a judge must not have guided the training")
        return self
