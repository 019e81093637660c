"""Everything that rows of a worker share, loaded at first use and kept between rows: a worker loads nothing twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from nada.clip.goal import Goal
from nada.clip.model import ClipModel
from nada.errors import ImageError
from nada.generators.domain import Domain
from nada.judge import Judge, SetFeatures
from nada.judge.paired import MAX_PICTURES
from nada.judge.samples import DRAWN_TOGETHER, fixed_latents
from nada.methods.models import Clips, Models
from nada.methods.picture_goal import PictureGoal
from nada.methods.registry import load_method
from nada.picture_files import read_images
from tasks.caches.feature_cache import kept_features, reference_features
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.row import STYLE_WEIGHT
from tasks.keys.inputs import reference_hash
from tasks.row.job import RowJob, Source
from tasks.row.judge_networks import LoadedJudge, load_judge
from tasks.row.sample_set import SampleSet, sample_set
from tasks.store.pretrained import Pretrained
from tasks.store.record import STYLE

SOURCES_KEPT = 2  # generators with their samples; more would only take memory


@dataclass
class Networks:
    """The networks of a night, whatever its rows start from."""

    params: Params
    device: str

    @cached_property
    def clips(self) -> Clips:
        """Guides, and the judge's CLIP."""
        return Clips(self.params.guide, self.params.judge, self.device)

    @cached_property
    def loaded_judge(self) -> LoadedJudge:
        """The networks of the scores, and why some are not there."""
        return load_judge(self.params, self.device, self.clips.judge)


@dataclass
class WarmModels:
    """Models of one source, with what judging compares a row with."""

    networks: Networks
    source: Source
    made: tuple[str, Domain] | None = None
    """Key and result of the row that was made last: it is judged without being read again."""
    _source_samples: SampleSet | None = None
    _references: dict[str, SetFeatures] = field(default_factory=dict)

    @property
    def params(self) -> Params:
        """All settings."""
        return self.networks.params

    @cached_property
    def models(self) -> Models:
        """Generator, guide, and the judge's CLIP."""
        night = self.params.night
        return Models(
            base_path=Path(self.source.base_path),
            base_name=self.source.base_name,
            clips=self.networks.clips,
            samples=self.params.samples,
            micro_batch=None if night.micro_batch == "auto" else night.micro_batch,
            open_source=None if self.source.on is None else self._open_other,
        )

    def _open_other(self) -> Domain:
        """The result of the row that these rows start from."""
        other = self.source.on
        assert other is not None
        models = WarmModels(self.networks, other.source).models
        models.open_base = lambda: self.models.base  # a row and what it starts from have one
        return load_method(other.method).open(HERE.adapted / other.domain, models)

    @property
    def identity(self) -> str:
        """Equal for sources that show equal pictures."""
        return json.dumps([self.source.base_sha256, None if self.source.on is None else self.source.on.key])

    @property
    def judge(self) -> Judge:
        """The networks of the scores."""
        return self.networks.loaded_judge.judge

    @property
    def family_module(self) -> str:
        """Module of the generator's network."""
        return Pretrained(Path(self.source.base_path), self.source.base_sha256, self.source.base_name).family_module

    @cached_property
    def ws(self) -> Tensor:
        """Latents of the judged and the shown pictures, [M, L, W_DIM]."""
        count = max(self.params.judge.num_images, self.params.samples.count)
        whole = -(-count // DRAWN_TOGETHER) * DRAWN_TOGETHER  # of few latents the last bits depend on how many they are
        return fixed_latents(self.models.source, whole, self.params.samples.truncation_psi)[:count]

    def source_samples(self, num_kept: int) -> SampleSet:
        """What the source shows on them; at least so many pictures are kept."""
        if self._source_samples is None or len(self._source_samples.pictures) < num_kept:
            self._source_samples = sample_set(self.models.source, self.identity, self, num_kept)
        return self._source_samples

    def goal(self, row: RowJob) -> Goal:
        """What a row is to come to.

        Raises:
            ImageError: its style pictures cannot be read, or are others than the night was planned with.
        """
        if row.row.style_images is None:
            return row.goal
        return self.picture_goal(row)

    def picture_goal(self, row: RowJob) -> PictureGoal:
        """The goal of a row that pictures lead; see `goal`."""
        path = row.row.style_images
        assert path is not None
        img_u8 = read_images(Path(path), self.models.source.resolution)
        if reference_hash(path) != row.provenance[STYLE]:
            raise ImageError(f"{path}: changed since the night was planned; run it again")
        is_base = row.method_object.measured_from(row.config) == "base"
        frozen = self.models.base if is_base else self.models.source
        return PictureGoal(img_u8, row.goal, getattr(row.config, STYLE_WEIGHT), frozen, self.models.keep)

    def measured_from(self, row: RowJob) -> WarmModels:
        """The models of what a row's edits are measured from: these, or those of the pretrained generator behind."""
        if self.source.on is None or row.method_object.measured_from(row.config) == "start":
            return self
        return warm_models(replace(row, source=replace(self.source, on=None)))

    def references(self, path: str | None) -> SetFeatures | None:
        """Features of a row's true images, if it has any."""
        if path is None:
            return None
        if path not in self._references:
            self._references[path] = reference_features(path, self.judge, self.models.source.resolution)
        return self._references[path]

    def true_pictures(self, path: str | None) -> Tensor | None:
        """What the first judged pictures of a row should look like, [N, 3, R, R] bytes, if anyone knows.

        Raises:
            ImageError: the folder or zip holds an unreadable picture, or none.
        """
        if path is None:
            return None
        return read_images(Path(path), self.models.source.resolution, most=min(len(self.ws), MAX_PICTURES))

    def check_references(self, path: str | None) -> None:
        """Find a damaged picture before a row is paid for: read those whose features are not known yet.

        Raises:
            ImageError: the folder or zip holds an unreadable picture, or none.
        """
        if path is None or path in self._references:
            return
        if (kept := kept_features(path, self.judge, self.models.source.resolution)) is not None:
            self._references[path] = kept
        else:
            read_images(Path(path), self.models.source.resolution)


_networks: dict[str, Networks] = {}
_warm: dict[str, WarmModels] = {}


def warm_networks(params: Params, device: str) -> Networks:
    """This process's networks; those of another set-up are dropped first."""
    sections = params.model_dump(mode="json", include={"guide", "judge", "samples"})
    key = json.dumps([sections, params.night.micro_batch, device], sort_keys=True)
    if key not in _networks:
        _warm.clear()
        _networks.clear()
        _networks[key] = Networks(params, device)
    return _networks[key]


def warm_models(job: RowJob) -> WarmModels:
    """This process's models for a row; of many sources the latest are kept."""
    networks = warm_networks(job.params, job.device)
    source = job.source
    key = json.dumps([source.base_path, source.base_sha256, source.on and [source.on.domain, source.on.key]])
    warm = _warm.pop(key, None) or WarmModels(networks, source)
    while len(_warm) >= SOURCES_KEPT:
        del _warm[next(iter(_warm))]
    _warm[key] = warm
    return warm


def warm_judge_clip(params: Params, device: str) -> ClipModel:
    """The judge's CLIP, with the prompts that it has read."""
    return warm_networks(params, device).clips.judge
