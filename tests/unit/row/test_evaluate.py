"""A made row is judged where it lies, from what its files give back, and what is judged is whole or absent."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from nada.errors import OutputError
from nada.generators.stylegan2 import SynthesisNetwork
from tasks.config.project import HERE
from tasks.row import evaluate as evaluate_module
from tasks.row import models
from tasks.row.evaluate import EMBEDDINGS, evaluate_row
from tasks.row.job import EvaluateJob, OnRow, RetrieveJob, RowJob
from tasks.row.retrieval import retrieve_rows
from tasks.store import row_folder
from tasks.store.record import EVALUATION_NAME, RETRIEVAL_NAME, Evaluation, RecordError, Retrieval
from tasks.workers.news import Progress
from tests.jobs import job, make_well, with_config, with_section
from tests.rows import KEYS

__all__ = ["job"]

FOLDER = HERE.adapted / "sketch"
JUDGED = (*row_folder.JUDGED_NAMES, RETRIEVAL_NAME)


def evaluate(job: RowJob, folder: Path = FOLDER) -> tuple[Evaluation, Retrieval]:
    return evaluate_row(EvaluateJob(row=job, folder=str(folder), device="cpu", threads=1), lambda _: None)


def forget(features: bool = True) -> None:
    """As in a fresh process: nothing is warm, and no features are known unless told."""
    models._warm.clear()
    models._networks.clear()
    if features:
        shutil.rmtree(HERE.feature_cache, ignore_errors=True)


def judged(job: RowJob) -> dict[str, bytes]:
    """Files of an evaluation of the row, made anew."""
    make_well(job)
    evaluate(job)
    files = {name: (FOLDER / name).read_bytes() for name in JUDGED}
    forget()
    shutil.rmtree(FOLDER)
    return files


def test_folders_in_the_place_of_its_files_keep_no_judging_out(job: RowJob) -> None:
    make_well(job)
    for name in (*JUDGED, EVALUATION_NAME):
        (FOLDER / name / "inside").mkdir(parents=True)
    evaluate(job)
    assert row_folder.state_of("sketch", KEYS) == "whole"
    (FOLDER / RETRIEVAL_NAME).unlink()
    (FOLDER / RETRIEVAL_NAME).mkdir()
    rows = (("sketch", job.goal, KEYS.retrieval),)
    anew = RetrieveJob(params=job.params, rows=rows, targets=job.targets, device="cpu", threads=1)
    assert retrieve_rows(anew, lambda _: None) == {}
    assert row_folder.state_of("sketch", KEYS) == "whole"


def test_a_made_row_becomes_whole(job: RowJob) -> None:
    making = make_well(job)
    news: list[Any] = []
    evaluation, retrieval = evaluate_row(EvaluateJob(row=job, folder=str(FOLDER), device="cpu", threads=1), news.append)
    assert row_folder.state_of("sketch", KEYS) == "whole"
    record = row_folder.read_record("sketch")
    assert (record.making, record.evaluation, record.retrieval) == (making, evaluation, retrieval)
    assert (evaluation.judge, evaluation.num_rendered) == ("tiny-judge", 6)
    assert set(evaluation.absent) == {"Inception", "EfficientNet", "LPIPS", "face-api"}
    assert json.loads((FOLDER / "metrics.json").read_text()).keys() == evaluation.scores.keys()
    assert load_file(FOLDER / "embeddings.safetensors")[EMBEDDINGS].shape == (6, 16)
    assert load_file(FOLDER / "embeddings.safetensors")[EMBEDDINGS].dtype == np.float16
    assert sum(retrieval.nearest.values()) == 6
    with Image.open(FOLDER / "samples.webp") as sheet:
        assert (sheet.width + 2) % (evaluation.sheet_px + 2) == 0
    assert news == [Progress(domain="sketch", step=5, total=5, loss=None, phase="judge")]


def test_what_kept_embeddings_find_is_what_was_found(job: RowJob) -> None:
    make_well(job)
    _, found = evaluate(job)
    rows = (("sketch", job.goal, KEYS.retrieval),)
    again = RetrieveJob(params=job.params, rows=rows, targets=job.targets, device="cpu", threads=1)
    assert retrieve_rows(again, lambda _: None) == {}
    assert row_folder.read_record("sketch").retrieval == found


def test_a_row_that_an_earlier_version_judged_has_one_sheet_once_it_is_judged_anew(job: RowJob) -> None:
    make_well(job)
    (FOLDER / row_folder.EARLIER_SAMPLES_NAME).write_bytes(b"of an earlier version")
    assert row_folder.sheet_path(FOLDER).name == "samples.png"
    evaluate(job)
    assert row_folder.sheet_path(FOLDER).name == "samples.webp"
    assert not (FOLDER / row_folder.EARLIER_SAMPLES_NAME).exists()


def test_the_record_tells_which_reference_pictures_were_left_out(job: RowJob) -> None:
    make_well(job)
    evaluation, _ = evaluate(replace(job, left_out="4 .heic (IMG_0.HEIC, ...)"))
    assert evaluation.left_out == "4 .heic (IMG_0.HEIC, ...)"
    assert row_folder.read_record("sketch").evaluation.left_out == evaluation.left_out


def test_a_row_is_judged_alike_by_who_made_it_and_by_who_opens_its_files(job: RowJob) -> None:
    make_well(job)
    evaluate(job)
    warm = {name: (FOLDER / name).read_bytes() for name in JUDGED}
    forget()
    evaluate(job)
    assert {name: (FOLDER / name).read_bytes() for name in JUDGED} == warm
    forget(features=False)
    evaluation, _ = evaluate(job)
    assert {name: (FOLDER / name).read_bytes() for name in JUDGED} == warm
    assert evaluation.num_rendered == 6  # those that are shown, in the group in which they were rendered before


def test_a_row_whose_true_pictures_are_known_is_measured_by_them_and_shows_them(job: RowJob) -> None:
    untold = judged(job)
    make_well(job)
    truth = Path("truth")
    truth.mkdir()
    for index in range(4):
        Image.new("RGB", (20, 16), (60 * index, 0, 0)).save(truth / f"{index}.png")
    told = replace(job, row=replace(job.row, true_images=str(truth)))
    evaluation, _ = evaluate(told)
    assert evaluation.scores["paired_error"].value > 0
    assert evaluation.scores["edge_correlation"].num_images == 4
    figures = {name: score for name, score in evaluation.scores.items() if score.network != "pixels"}
    assert figures.keys() == json.loads(untold["metrics.json"]).keys()
    contents = untold["samples.webp"], (FOLDER / "samples.webp").read_bytes()
    sheets = [Image.open(BytesIO(content)) for content in contents]
    assert sheets[1].height == sheets[0].height + 16 + 2
    shown = [sheets[1].getpixel((18 * index + 8, sheets[0].height + 10)) for index in (0, 1)]
    assert np.allclose(shown, [(0, 0, 0), (60, 0, 0)], atol=12)  # in few bytes


def test_rounded_weights_are_judged_as_they_are_stored(job: RowJob) -> None:
    half = with_section(job, "night", storage="fp16")
    make_well(half)
    evaluate(half)
    as_made = {name: (FOLDER / name).read_bytes() for name in JUDGED}
    forget()
    evaluate(half)
    assert {name: (FOLDER / name).read_bytes() for name in JUDGED} == as_made


def test_how_exact_weights_are_stored_changes_no_score(job: RowJob) -> None:
    whole, delta = (judged(with_section(job, "night", storage=storage)) for storage in ("full", "delta"))
    assert whole == delta


def test_judging_goes_on_in_halves_where_memory_runs_out(job: RowJob, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = judged(with_section(job, "judge", batch_size=3))
    render = SynthesisNetwork.forward

    def forward(self: SynthesisNetwork, ws: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        if len(ws) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return render(self, ws, *arguments, **named)

    monkeypatch.setattr(SynthesisNetwork, "forward", forward)
    assert judged(job) == undisturbed


def test_a_row_that_is_not_made_cannot_be_judged(job: RowJob) -> None:
    make_well(job)
    (FOLDER / "row.json").write_text("{}")
    with pytest.raises(RecordError, match=r"^weights/adapted/sketch/row\.json: not as it was written$"):
        evaluate(job)


@pytest.mark.parametrize("name", [*row_folder.JUDGED_NAMES, EVALUATION_NAME])
def test_an_evaluation_that_broke_off_leaves_a_row_that_is_made(
    job: RowJob, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_well(job)
    evaluate(job)
    anew = replace(with_section(job, "samples", count=3), keys=replace(KEYS, evaluation="9" * 64))
    rename = Path.replace

    def refuse(partial: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(28, "No space left on device")
        return rename(partial, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError):
            evaluate(anew)
    is_untouched = name == row_folder.SAMPLES_NAME  # the first to be written
    assert row_folder.state_of("sketch", KEYS) == ("whole" if is_untouched else "made")
    assert row_folder.state_of("sketch", anew.keys) == "made"
    evaluate(anew)
    assert row_folder.state_of("sketch", anew.keys) == "whole"


@pytest.mark.parametrize(("count", "asked"), [(2, 16), (16, 16), (17, 32)])
def test_judged_latents_are_the_first_of_whole_groups(
    job: RowJob, count: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "fixed_latents", lambda _, number, psi: torch.arange(number))
    params = with_section(job, "judge", num_images=count).params
    ws = models.WarmModels(models.Networks(params, "cpu"), job.source).ws
    assert torch.equal(ws, torch.arange(count))
    assert ws.untyped_storage().size() == torch.arange(asked).untyped_storage().size()


def test_what_another_worker_made_meanwhile_is_opened_from_its_files(job: RowJob) -> None:
    make_well(job)
    warm = models.warm_models(job)
    assert warm.made is not None
    making = row_folder.read_making("sketch")
    assert evaluate_module.made_domain(warm, making, FOLDER, job) is warm.made[1]
    warm.made = ("9" * 64, warm.made[1])
    assert evaluate_module.made_domain(warm, making, FOLDER, job) is not warm.made[1]


def retrieve(job: RowJob, key: str, **targets: str) -> dict[str, str]:
    asked = RetrieveJob(params=job.params, rows=(("sketch", job.goal, key),), targets=targets, device="cpu", threads=1)
    return retrieve_rows(asked, lambda _: None)


def test_retrieval_is_told_again_from_kept_embeddings(job: RowJob) -> None:
    make_well(job)
    _, alone = evaluate(job)
    kept = {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name != RETRIEVAL_NAME}
    assert retrieve(job, "9" * 64, sketch="pencil sketch", robot="a robot", neon="neon edges") == {}
    among = row_folder.read_record("sketch").retrieval
    assert among.key == "9" * 64
    assert (alone.score.reference, among.score.reference) == (
        "prompt 'pencil sketch' among 2 prompts",
        "prompt 'pencil sketch' among 4 prompts",
    )
    assert {path.name: path.read_bytes() for path in FOLDER.iterdir() if path.name != RETRIEVAL_NAME} == kept
    assert retrieve(job, KEYS.retrieval, sketch="pencil sketch") == {}
    assert row_folder.read_record("sketch").retrieval == alone


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"no tensors")])
def test_a_row_without_its_embeddings_keeps_the_retrieval_that_it_has(job: RowJob, damage: Any) -> None:
    make_well(job)
    _, before = evaluate(job)
    damage(FOLDER / "embeddings.safetensors")
    failed = retrieve(job, "9" * 64, sketch="pencil sketch", robot="a robot")
    assert list(failed) == ["sketch"]
    assert row_folder.read_record("sketch").retrieval == before


def test_a_row_is_compared_with_what_its_edits_are_measured_from(job: RowJob) -> None:
    def source_shown(domain: str) -> np.ndarray[Any, Any]:
        """The first row of a sheet: two pictures of 16 px, in few bytes."""
        with Image.open(HERE.adapted / domain / row_folder.SAMPLES_NAME) as sheet:
            return np.asarray(sheet.crop((0, 0, sheet.width, 16)), dtype=float)

    far = with_config(job, learning_rate=0.1)
    make_well(far)
    evaluate(far)
    on = OnRow(domain="sketch", key=KEYS.making, method=job.method, source=job.source)
    shown = {"sketch": source_shown("sketch")}
    for frozen in ("start", "base"):
        keys = replace(KEYS, making=frozen)
        row, source = replace(job.row, domain=frozen, on="sketch"), replace(job.source, on=on)
        further = with_config(replace(job, row=row, source=source, keys=keys), frozen=frozen)
        make_well(further)
        evaluate(further, HERE.adapted / frozen)
        shown[frozen] = source_shown(frozen)
    from_base, from_start = (np.abs(shown[name] - shown["sketch"]).mean() for name in ("base", "start"))
    assert from_base < 0.3 * from_start
