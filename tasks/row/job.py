"""What a worker process needs to adapt one row, and how a row's settings are resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from nada.methods.adapt.config import AdaptConfig
from tasks.config.model import Params
from tasks.config.prompts import Row


@dataclass(frozen=True, kw_only=True)
class RowJob:
    """One row with everything resolved: it pickles, and its worker reads no CSV and no params.yaml."""

    row: Row
    adapt: AdaptConfig
    """The row's recipe over `adapt`, with the row's own iterations."""
    params: Params
    key: str
    """Content key of the result (`tasks.store.row_folder.row_key`)."""
    seed: int
    generator_path: str
    """The canonical pretrained generator (`tasks.store.pretrained.prepare`)."""
    device: str
    threads: int
    all_targets: dict[str, str]
    """Domain -> target prompt for every row of the night; retrieval is judged among them."""
    provenance: dict[str, str] = field(default_factory=dict)
    """Names -> hashes and versions, kept in the row's record."""
    resumes: bool = True
    """Whether it goes on from a saved state, and saves its own."""


@dataclass(frozen=True, kw_only=True)
class RemakeJob(RowJob):
    """A row to be made once more, beside the finished one."""

    folder: str
    """Where; published nowhere."""


def resolve_adapt(row: Row, params: Params) -> AdaptConfig:
    """`adapt` of params.yaml, overridden by the row's recipe, then by the row's own iterations: that many."""
    config = params.recipe(row.recipe)
    if row.iterations is None:
        return config
    return AdaptConfig.model_validate({**config.model_dump(), "iterations": row.iterations, "stop": "fixed"})


def resolve_seed(row: Row, params: Params) -> int:
    """The row's seed, or the night's."""
    return params.night.seed if row.seed is None else row.seed
