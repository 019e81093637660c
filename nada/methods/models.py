"""What the rows of a pass share: the generator that they start from, and the CLIPs that guide and look on.

Each is loaded at first use and stays, so that a worker loads nothing twice in a night.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from nada.checkpoints.canonical import load_generator
from nada.clip.guide import Guide
from nada.clip.loading import load_clip, load_guide
from nada.clip.model import ClipModel
from nada.config import GuideConfig, JudgeConfig, SamplesConfig
from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator, whole
from nada.generators.registry import Network
from nada.hashing import sha256_file

T = TypeVar("T")


@dataclass
class Clips:
    """The CLIPs of a night, whatever its rows start from."""

    guide_config: GuideConfig
    judge_config: JudgeConfig
    device: str

    @cached_property
    def guide(self) -> Guide:
        """Those of the loss."""
        return load_guide(self.guide_config, self.device)

    @cached_property
    def judge(self) -> ClipModel:
        """The one that looks on, and that did not guide."""
        guide = self.guide_config
        return load_clip(self.judge_config.model, guide.config_dir, guide.antialias, self.device)


@dataclass
class Models:
    """Generator and CLIPs for rows with one source."""

    base_path: Path
    """The pretrained generator, a whole file in the canonical format: stored differences rebuild from it."""
    base_name: str
    """For people: the file that it was made from."""
    clips: Clips
    samples: SamplesConfig
    """How the pictures are drawn on which the judge's CLIP looks."""
    micro_batch: int | None = None
    """Pictures at once, at most; None: as many as a step has."""
    open_source: Callable[[], Domain] | None = None
    """Opens the other row's result that the rows start from; None: they start from the pretrained generator."""
    open_base: Callable[[], Network] | None = None
    """Gives the pretrained generator where somebody has loaded it already; None: it is read from its file."""
    sha256_of: Callable[[Path], str] = sha256_file
    """Hashes that file; whoever opens many domains remembers."""
    _kept: dict[Hashable, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """Where everything is."""
        return self.clips.device

    @property
    def guide(self) -> Guide:
        """The CLIPs of the loss."""
        return self.clips.guide

    @cached_property
    def base(self) -> Network:
        """The pretrained generator."""
        return load_generator(self.base_path, self.device) if self.open_base is None else self.open_base()

    @cached_property
    def base_sha256(self) -> str:
        """Of its file."""
        return self.sha256_of(self.base_path)

    @cached_property
    def source(self) -> Domain:
        """What the rows start from, frozen."""
        return self.base if self.open_source is None else self.open_source()

    @cached_property
    def source_generator(self) -> Network:
        """The same, for methods that train its weights: a light domain with weights of its own.

        Raises:
            CheckpointError: it is no generator.
        """
        source = self.source
        if not isinstance(source, Network | LightGenerator):
            raise CheckpointError("'on' names a row that left no generator; this method needs one")
        return whole(source)

    def keep(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, computed once for this source and these networks."""
        if key not in self._kept:
            self._kept[key] = make()
        kept: T = self._kept[key]
        return kept
