"""What a worker process needs to make, judge and compare rows: it reads no CSV and no params.yaml.

Imports no torch, and every job pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nada.clip.goal import PromptPair
from nada.config import Section
from nada.methods.base import Assignment, Method
from nada.methods.registry import load_method
from tasks.config.model import Params
from tasks.config.row import Row
from tasks.store import prepared
from tasks.store.row_folder import Keys


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a row starts from: a pretrained generator, or another row's result."""

    base_path: str
    """The pretrained generator in the canonical format (`tasks.store.pretrained`)."""
    base_sha256: str
    base_name: str
    """For people: the file that it was made from."""
    on: OnRow | None = None


@dataclass(frozen=True, kw_only=True)
class OnRow:
    """Another row, whose result is started from."""

    domain: str
    key: str
    """Of its making."""
    method: str
    """`module:class`."""
    source: Source
    """What that one started from."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Anything that a worker is asked to do; the pool fills in its own device and threads."""

    device: str
    threads: int


@dataclass(frozen=True, kw_only=True)
class RowJob(Job):
    """One row with everything resolved."""

    row: Row
    method: str
    """`module:class`."""
    config: Section
    """The row's recipe over its method's section, with the row's own iterations."""
    params: Params
    keys: Keys
    seed: int
    source: Source
    targets: Mapping[str, str]
    """Domain -> target prompt of the rows among which retrieval is judged."""
    left_out: str = ""
    """What is with its reference pictures and not read, in words."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Names -> hashes and versions, kept in the row's record."""
    prepared: tuple[str, ...] = ()
    """Keys of what its method prepares for it, one a model of the guide."""
    resumes: bool = True
    """Whether it goes on from a saved state, and saves its own."""

    @property
    def domain(self) -> str:
        """The row's name."""
        return self.row.domain

    @property
    def goal(self) -> PromptPair:
        """The row's prompts."""
        return PromptPair(self.row.source, self.row.target)

    @property
    def method_object(self) -> Method[Any, Any]:
        """The row's method."""
        return load_method(self.method)

    @property
    def assignment(self) -> Assignment[Any]:
        """The row as its method sees it, its goal by its prompts alone; `WarmModels.goal` adds its pictures."""
        return Assignment(
            row=self.domain,
            goal=self.goal,
            config=self.config,
            seed=self.seed,
            storage=self.params.night.storage,
            prepared=tuple(map(prepared.place, self.prepared)),
        )


@dataclass(frozen=True, kw_only=True)
class GroupJob(Job):
    """Rows to be made in one pass: of one method, source and guides."""

    rows: tuple[RowJob, ...]
    folder: str | None = None
    """Where to, a folder a row within; None: published as the rows' results."""

    @property
    def domains(self) -> list[str]:
        """Their names."""
        return [row.domain for row in self.rows]


class CheckedSettings(NamedTuple):
    """Settings, and the generators that must be able to have them."""

    place: str
    """Where they stand."""
    method: str
    """`module:class`."""
    config: Section
    bases: tuple[str, ...]
    """sha256 of the pretrained generators behind the rows that use them."""


@dataclass(frozen=True, kw_only=True)
class CheckJob(Job):
    """Models to be loaded once, before anything is made."""

    rows: tuple[RowJob, ...]
    """One of each source."""
    settings: tuple[CheckedSettings, ...]
    """Those of every row and recipe."""


@dataclass(frozen=True, kw_only=True)
class EvaluateJob(Job):
    """A row to be judged."""

    row: RowJob
    folder: str
    """That holds what was made."""


@dataclass(frozen=True, kw_only=True)
class RetrieveJob(Job):
    """Rows whose pictures are to find their prompts anew, from kept embeddings."""

    params: Params
    rows: tuple[tuple[str, PromptPair, str], ...]
    """Domain, prompts, and key of the retrieval."""
    targets: Mapping[str, str]
