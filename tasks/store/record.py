"""What is known of a finished row: how it was made, how it was judged, and which prompts its pictures find.

Three files in the row's folder, each with a key of its own and with the sha256 of its own content, so that a damaged
or edited one is found and done again, and the others live:

    row.json          how it was made; written last of what was made
    evaluation.json   its scores; written last of what was judged
    retrieval.json    its pictures among the prompts of a night

Imports no torch.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from nada.atomic import replacing
from nada.config import Section
from nada.errors import NadaError
from nada.methods.base import Method, RecordPart, Storage, checkpoint_steps
from nada.methods.registry import METHODS, find_method
from tasks.config.row import Row
from tasks.store.plain_data import read_json

MAKING_NAME, EVALUATION_NAME, RETRIEVAL_NAME = "row.json", "evaluation.json", "retrieval.json"
GENERATOR = "sha256 of generator"
"""In a record's provenance: the canonical pretrained generator behind the row."""
STYLE, NUM_STYLE = "sha256 of style_images", "style_images"
"""There too: `reference_hash` of the pictures that the row learned from, and how many they are."""
STYLE_NAME, EARLIER_STYLE_NAME = "style.webp", "style.png"
"""The first of these pictures, side by side; and of rows that an earlier version made."""
FORMAT: Literal[2] = 2
MOST_BYTES = 8 << 20  # of a record; more is none of ours
RETRIEVAL_SCORE = "retrieval_accuracy"


class RecordError(NadaError):
    """A record is missing, damaged, edited, or of another format: what it tells of is done again."""


class Entry(BaseModel):
    """A part of a record."""

    model_config = ConfigDict(frozen=True)


Shared = Annotated[str, AfterValidator(sys.intern)]
"""A text that thousands of rows have in common: it is in memory once."""


@checked_dataclass(frozen=True, slots=True, config=ConfigDict(populate_by_name=True, serialize_by_alias=True))
class FileEntry:
    """A file as it was written. A row has a dozen, so that they are no models, which take three times the memory."""

    sha256: str
    num_bytes: Annotated[int, Field(alias="bytes", ge=0)]


@checked_dataclass(frozen=True, slots=True)
class ScoreEntry:
    """One figure and what it is measured against; see `nada.judge.scores.Score`."""

    value: float
    low: float
    high: float
    reference: Shared
    num_images: int
    network: Shared
    resizing: Shared


class Making(Entry):
    """How a row was made."""

    format: Literal[2] = FORMAT
    domain: str
    key: str
    """Of making."""
    method: str
    row: Row
    config: dict[str, Any]
    """The method's settings, resolved."""
    seed: int
    storage: Storage
    resolution: int
    guides: list[Shared]
    group: dict[str, str]
    """Of the rows that began in one pass, this one among them, in their order: domain -> key of making."""
    on_key: str | None = None
    """Key of making of the row that it started from (`row.on`)."""
    trained_steps: int
    most_steps: int
    kept_step: int
    bases: list[Shared]
    """sha256 of the base models that its files rebuild from."""
    part: dict[str, Any]
    """Of the method; see `method_part`."""
    seconds: dict[Shared, float]
    """By phase: `load`, `make`, and `prepare` where the method has something to prepare."""
    device: str
    processor: str
    threads: int
    micro_batch: int
    gpu_bytes: int | None
    provenance: dict[Shared, Shared]
    """Names -> hashes and versions."""
    finished: str
    """ISO 8601."""
    files: dict[Shared, FileEntry] = Field(default_factory=dict)

    @property
    def weights(self) -> dict[str, FileEntry]:
        """Its files of tensors, without what it has for readers, and checkpoints that it kept."""
        tensors = {name: entry for name, entry in self.files.items() if name.endswith(".safetensors")}
        return {name: entry for name, entry in tensors.items() if not checkpoint_steps([name])}

    @property
    def pictures(self) -> dict[str, str]:
        """Its files that were drawn for readers, by the method or of what it learned from -> their captions.

        Raises:
            RecordError: as `method_object` and `method_part`.
        """
        learned = f"The pictures that it learned from, {self.provenance.get(NUM_STYLE)} in all: the first of them."
        drawn = {STYLE_NAME: learned, EARLIER_STYLE_NAME: learned, **self.method_object.pictures(self.method_part)}
        return {name: caption for name, caption in drawn.items() if name in self.files}

    @property
    def method_object(self) -> Method[Any, Any]:
        """The method that made it.

        Raises:
            RecordError: this version has none of that name.
        """
        if self.method not in METHODS:
            raise RecordError(f"{self.domain}: made by {self.method!r}, a method that this version does not have")
        return find_method(self.method)

    @property
    def method_config(self) -> Section:
        """The settings as the method's own model."""
        config: Section = self._as(self.method_object.config_model, self.config)
        return config

    @property
    def method_part(self) -> RecordPart:
        """What the method adds."""
        part: RecordPart = self._as(self.method_object.record_model, self.part)
        return part

    def _as(self, model: type[BaseModel], content: dict[str, Any]) -> Any:
        try:
            return model.model_validate(content)
        except ValidationError as err:
            raise RecordError(f"{self.domain}: what its record holds is of no {self.method!r} of this version") from err


class Evaluation(Entry):
    """How a row was judged."""

    format: Literal[2] = FORMAT
    domain: str
    key: str
    """Of evaluating."""
    making_key: str
    judge: str
    absent: dict[Shared, Shared]
    """Network -> why it did not judge."""
    left_out: str = ""
    """What was with the reference pictures and not read, in words; so the figures are not measured on it."""
    scores: dict[Shared, ScoreEntry]
    num_rendered: int
    """Pictures that were rendered for it; the others were known."""
    sheet_px: int | None = None
    """Of a picture on the sheet, a side; None where earlier versions drew them as large as they are."""
    seconds: dict[Shared, float]
    device: str
    finished: str
    files: dict[Shared, FileEntry] = Field(default_factory=dict)


class Retrieval(Entry):
    """Which prompts a row's pictures find, among those of a night."""

    format: Literal[2] = FORMAT
    domain: str
    key: str
    """Of the evaluation and the prompts."""
    score: ScoreEntry | None
    """None for a row without a prompt of its own, which pictures alone lead."""
    nearest: dict[Shared, int]
    """Prompt -> pictures nearest to it, where there are any."""


@dataclass(frozen=True)
class Record:
    """All that is known of a finished row."""

    making: Making
    evaluation: Evaluation
    retrieval: Retrieval

    @property
    def domain(self) -> str:
        """Its name."""
        return self.making.domain

    @property
    def row(self) -> Row:
        """Its line of the CSV."""
        return self.making.row

    @cached_property
    def scores(self) -> dict[str, ScoreEntry]:
        """Every figure by name."""
        found = self.retrieval.score
        return self.evaluation.scores if found is None else {RETRIEVAL_SCORE: found, **self.evaluation.scores}

    @property
    def nearest(self) -> dict[str, int]:
        """Prompt -> pictures nearest to it."""
        return self.retrieval.nearest

    @property
    def seconds(self) -> float:
        """That making and judging took."""
        return sum(self.making.seconds.values()) + sum(self.evaluation.seconds.values())

    @property
    def worker_seconds(self) -> float:
        """That it took of a worker's time: the rows of a pass share that."""
        making = self.making
        return sum(making.seconds.values()) / len(making.group) + sum(self.evaluation.seconds.values())

    @property
    def finished(self) -> str:
        """When its last part was: ISO 8601."""
        return max(self.making.finished, self.evaluation.finished)


Part = TypeVar("Part", Making, Evaluation, Retrieval)


def write_entry(path: Path, entry: BaseModel) -> None:
    """Write a record's file, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    content = entry.model_dump(mode="json")
    with replacing(path) as partial:
        text = json.dumps({**content, "sha256": digest(content)}, indent=2, ensure_ascii=False, allow_nan=False)
        partial.write_text(text + "\n", encoding="utf-8")


def read_entry(path: Path, model: type[Part]) -> Part:
    """Read a record's file back.

    Raises:
        RecordError: missing, damaged, edited, or of another format.
    """
    try:
        content = read_json(path, MOST_BYTES)
        if not isinstance(content, dict) or content.pop("sha256", None) != digest(content):
            raise RecordError(f"{path}: not as it was written")
        return model.model_validate(content)
    except FileNotFoundError as err:
        raise RecordError(f"{path}: no record") from err
    except (OSError, ValueError, RecursionError, ValidationError) as err:
        raise RecordError(f"{path}: no record ({type(err).__name__})") from err


def read_record(folder: Path) -> Record:
    """All that a row's folder tells.

    Raises:
        RecordError: a part is missing or damaged.
    """
    return Record(
        making=read_entry(folder / MAKING_NAME, Making),
        evaluation=read_entry(folder / EVALUATION_NAME, Evaluation),
        retrieval=read_entry(folder / RETRIEVAL_NAME, Retrieval),
    )


def digest(content: Mapping[str, Any]) -> str:
    """Hexadecimal sha256 of plain data, however it is laid out."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
