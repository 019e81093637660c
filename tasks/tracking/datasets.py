"""What runs were made from, as datasets of MLflow: a name, a path and a hash; the content stays where it is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nada.errors import NadaError
from tasks.caches.reference_pictures import look
from tasks.config.row import Row
from tasks.store.record import NUM_STYLE, STYLE, Record

if TYPE_CHECKING:
    from mlflow import MlflowClient

DIGEST_LENGTH = 36  # of a dataset, at most
PROMPTS, STYLE_IMAGES, REFERENCES = "prompts", "style_images", "reference_images"


@dataclass(frozen=True)
class Dataset:
    """One of them."""

    name: str
    path: str
    sha256: str
    profile: tuple[tuple[str, int], ...]
    """What to know of it, such as how many pictures it has."""


def prompts_of(path: str, rows: Sequence[Row]) -> tuple[Dataset, dict[str, Any]]:
    """The rows of a night, and their content."""
    content = [asdict(row) for row in rows]
    sha256 = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return Dataset(PROMPTS, path, sha256, (("num_rows", len(rows)),)), {"rows": content}


def pictures_of(record: Record) -> Iterator[Dataset]:
    """The pictures that a row learned from, and those that it is judged by, as far as they are still there."""
    row, told = record.row, record.making.provenance
    if row.style_images is not None and STYLE in told:
        yield Dataset(STYLE_IMAGES, row.style_images, told[STYLE], (("num_images", int(told[NUM_STYLE])),))
    if row.reference_images is not None:
        with suppress(NadaError):
            found = look(row.reference_images)  # known since the night was planned
            yield Dataset(REFERENCES, row.reference_images, found.sha256, (("num_images", found.num_images),))


def log_dataset(client: MlflowClient, run_id: str, dataset: Dataset) -> None:
    """Let a run tell of a dataset."""
    from mlflow.entities import Dataset as Entity
    from mlflow.entities import DatasetInput, InputTag

    entity = Entity(
        name=dataset.name,
        digest=dataset.sha256[:DIGEST_LENGTH],
        source_type="local",
        source=json.dumps({"uri": dataset.path}),
        profile=json.dumps(dict(dataset.profile)),
    )
    client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", dataset.name)])])
