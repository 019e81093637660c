"""A made row judged: its pictures, its scores, its embeddings; runs inside a worker process."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file
from torch import Tensor

from nada.atomic import replacing
from nada.generators.domain import Domain
from nada.images import before_after
from nada.judge import Retrieved, Score, StyleDirection, retrieve, score_domain
from nada.judge.paired import paired_scores
from nada.methods.sheets import FEW_BYTES, at_most, save_sheet
from tasks.row.job import EvaluateJob, RowJob
from tasks.row.make import Tell
from tasks.row.models import WarmModels, warm_models
from tasks.row.sample_set import sample_set
from tasks.store import row_folder
from tasks.store.record import (
    MAKING_NAME,
    RETRIEVAL_NAME,
    Evaluation,
    Making,
    Retrieval,
    ScoreEntry,
    digest,
    read_entry,
    write_entry,
)
from tasks.workers.news import Progress

SHEET_COLUMNS = 6
SHEET_SHARE = 2
"""A sheet weighs no more than this part of what was made of a row, or `FEW_BYTES` of a row of kilobytes."""
EMBEDDINGS = "emb"
KEPT = np.float16
"""Half the bytes, and cosines to texts within 1e-4: what a row finds is told from these ever after."""


def evaluate_row(job: EvaluateJob, tell: Tell) -> tuple[Evaluation, Retrieval]:
    """Judge what was made of a row, and fill its folder with the result; returns what was recorded.

    Raises:
        RecordError: nothing was made there, or it is damaged.
        InputError: models or reference images cannot be read, or the folder cannot be written.
        OutOfMemoryError: memory ran out with one picture at a time.
    """
    row, folder = replace(job.row, device=job.device, threads=job.threads), Path(job.folder)
    started = time.monotonic()
    making = read_entry(folder / MAKING_NAME, Making)
    tell(Progress(domain=row.domain, step=making.trained_steps, total=making.most_steps, loss=None, phase="judge"))
    warm = warm_models(row)
    domain = made_domain(warm, making, folder, row)
    references, true_u8 = warm.references(row.row.reference_images), warm.true_pictures(row.row.true_images)
    num_shown = warm.params.samples.count
    num_kept = max(num_shown, 0 if true_u8 is None else len(true_u8))
    source = warm.measured_from(row).source_samples(num_kept)
    style = None if row.row.style_images is None else warm.picture_goal(row)
    loaded = time.monotonic()  # the source's pictures are judged once a night
    files = {name: entry.sha256 for name, entry in making.files.items()}
    samples = sample_set(domain, f"{warm.identity} {digest(files)}", warm, num_kept)
    goal = row.goal
    scores = score_domain(
        warm.judge,
        goal.source,
        goal.target,
        source.features,
        samples.features,
        references,
        None if style is None else StyleDirection(style.direction(warm.judge.clip), len(style.img_u8)),
    )
    if true_u8 is not None:
        num = len(true_u8)
        scores |= paired_scores(source.pictures[:num], samples.pictures[:num], true_u8)
    emb = np.asarray(samples.features.emb, dtype=KEPT)
    retrieved = retrieve(warm.judge.clip, goal, emb.astype(np.float64), row.targets.values())
    row_folder.make_way(folder)
    sheet_px = draw(folder, making, source.pictures[:num_shown], samples.pictures[:num_shown], true_u8)
    write_files(folder, emb, scores)
    evaluation = Evaluation(
        domain=row.domain,
        key=row.keys.evaluation,
        making_key=row.keys.making,
        judge=warm.judge.clip.name,
        absent=warm.networks.loaded_judge.absent,
        left_out=row.left_out,
        scores={name: score_entry(score) for name, score in scores.items()},
        num_rendered=samples.num_rendered,
        sheet_px=sheet_px,
        seconds={"load": round(loaded - started, 3), "judge": round(time.monotonic() - loaded, 3)},
        device=row.device,
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    retrieval = Retrieval(
        domain=row.domain, key=row.keys.retrieval, score=own_score(retrieved), nearest=retrieved.nearest
    )
    written = row_folder.write_evaluation(folder, evaluation)
    write_entry(folder / RETRIEVAL_NAME, retrieval)
    return written, retrieval


def made_domain(warm: WarmModels, making: Making, folder: Path, row: RowJob) -> Domain:
    """What was made: still here from a moment ago, or opened from its files."""
    if warm.made is not None and warm.made[0] == making.key == row.keys.making:
        return warm.made[1]
    domain: Domain = row.method_object.open(folder, warm.models)
    return domain


def draw(folder: Path, making: Making, source_u8: Tensor, adapted_u8: Tensor, true_u8: Tensor | None) -> int:
    """The sheet of the same latents [N, 3, R, R] before and after; returns the side of a picture on it.

    Raises:
        OutputError: it cannot be written.
    """

    def sheet(px: int) -> Image.Image:
        true = None if true_u8 is None else at_most(true_u8, px)
        return before_after(at_most(source_u8, px), at_most(adapted_u8, px), SHEET_COLUMNS, true)

    most_bytes = max(FEW_BYTES, sum(entry.num_bytes for entry in making.files.values()) // SHEET_SHARE)
    return save_sheet(folder / row_folder.SAMPLES_NAME, sheet, source_u8.shape[-1], most_bytes)


def write_files(folder: Path, emb: NDArray[np.float16], scores: Mapping[str, Score]) -> None:
    """The scores for other tools, and the embeddings from which retrieval is told again.

    Raises:
        OutputError: one cannot be written.
    """
    with replacing(folder / row_folder.METRICS_NAME) as partial:
        text = json.dumps({name: asdict(score) for name, score in scores.items()}, indent=2, sort_keys=True)
        partial.write_text(text + "\n")
    with replacing(folder / row_folder.EMBEDDINGS_NAME) as partial:
        save_file({EMBEDDINGS: emb}, partial)


def own_score(retrieved: Retrieved) -> ScoreEntry | None:
    """How often a row's own prompt is found, if it has one."""
    return None if retrieved.score is None else score_entry(retrieved.score)


def score_entry(score: Score) -> ScoreEntry:
    """A score as records hold it."""
    return ScoreEntry(**asdict(score))
