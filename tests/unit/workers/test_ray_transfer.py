"""Jobs that travel: what goes along, under which names, and that what was done comes back whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from nada.errors import OutputError
from tasks.config.project import HERE
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.row.job import EvaluateJob, GroupJob, RowJob
from tasks.store import row_folder
from tasks.store.record import Evaluation, Retrieval, read_entry, write_entry
from tasks.workers.news import RowEnded
from tasks.workers.pool import RowFailedError, rebuilt_error
from tasks.workers.ray import results, transfer
from tests.project import Project, project
from tests.records import make_record

__all__ = ["project"]

NETWORKS = [
    "weights/pretrained/generator.safetensors",
    *(f"world/tiny-{role}.{kind}" for role in ("guide", "judge") for kind in ("json", "safetensors")),
]
PICTURES = [f"world/truth/{index}.png" for index in range(8)]
PROMPTS = """\
domain,source,target,recipe,on,reference_images
sketch,portrait,pencil sketch,style,,world/truth
child,portrait,a child,style,sketch,
laugh,portrait,a laugh,style,child,
"""
NOT_WHOLE = r"^sketch: what came back from another machine is not the whole row$"


@pytest.fixture
def plan(project: Project) -> Plan:
    """Of a row that has true pictures, one that starts from it, and one that starts from that."""
    Path("prompts.csv").write_text(PROMPTS)
    return make_plan(Path("params.yaml"))


@pytest.fixture
def job(plan: Plan) -> RowJob:
    """Of the row that has true pictures."""
    return plan.job(plan.rows[0])


def make_row(job: RowJob, folder: Path, content: bytes = b"weights") -> dict[str, bytes]:
    """A row's folder as a worker fills it; returns its files."""
    folder.mkdir(parents=True)
    (folder / "generator.safetensors").write_bytes(content)
    (folder / "trace.csv").write_text("step,loss\n")
    making = make_record(job.domain, making={"key": job.keys.making, "row": job.row}).making
    row_folder.write_making(folder, making)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_everything_that_a_row_reads_goes_along_under_its_own_name(job: RowJob) -> None:
    packed = transfer.pack(job)
    assert packed.job == job
    assert sorted(packed.files) == [*NETWORKS, *PICTURES]
    assert packed.pictures == ("world/truth",)


def test_rows_of_a_pass_travel_as_one_job(plan: Plan) -> None:
    packed = transfer.pack(plan.group_job(plan.rows[:2]))
    assert isinstance(packed.job, GroupJob)
    assert packed.job == plan.group_job(plan.rows[:2])
    assert packed.job.rows[0].params is packed.job.rows[1].params  # and so once on the way
    assert sorted(packed.files) == [*NETWORKS, *PICTURES]
    assert transfer.pack(plan.check_job()).job == plan.check_job()


def test_what_was_made_of_the_rows_that_a_row_starts_from_goes_along(plan: Plan) -> None:
    for planned in plan.rows[:2]:
        folder = HERE.adapted / planned.domain
        make_row(plan.job(planned), folder)
        (folder / "samples.webp").write_bytes(b"may change meanwhile")
    packed = transfer.pack(plan.group_job(plan.rows[2:]))
    made = ("generator.safetensors", "row.json", "trace.csv")
    others = [f"weights/adapted/{domain}/{name}" for domain in ("child", "sketch") for name in made]
    assert sorted(packed.files) == [*others, *NETWORKS]
    assert packed.files[others[0]] == Path(others[0])


def test_a_row_that_is_not_there_is_left_to_whoever_opens_it(plan: Plan) -> None:
    assert sorted(transfer.pack(plan.group_job(plan.rows[1:2])).files) == NETWORKS


def test_what_lies_outside_of_the_project_gets_a_name_within_the_mirror(job: RowJob, project: Project) -> None:
    outside = project.folder / "world"
    row = replace(job.row, reference_images=str(outside / "truth"), true_images=str(outside / "truth"))
    guide = job.params.guide.model_copy(update={"config_dir": str(outside)})
    packed = transfer.pack(replace(job, row=row, params=job.params.model_copy(update={"guide": guide})))
    place = f".outside{outside.resolve()}"
    assert isinstance(packed.job, RowJob)
    assert packed.job.row.reference_images == packed.job.row.true_images == f"{place}/truth"
    assert packed.job.params.guide.config_dir == place
    assert packed.files[f"{place}/truth/0.png"] == outside / "truth" / "0.png"
    assert packed.files[f"{place}/tiny-guide.json"] == outside / "tiny-guide.json"


def test_style_pictures_go_along(job: RowJob) -> None:
    Path("style").mkdir()
    shutil.copy("world/truth/0.png", "style/own.png")
    row = replace(job.row, style_images="style", reference_images=None)
    packed = transfer.pack(replace(job, row=row))
    assert sorted(packed.files) == ["style/own.png", *NETWORKS]
    assert packed.pictures == ("style",)


def test_published_networks_go_along_where_they_were_fetched(job: RowJob) -> None:
    judge = job.params.judge.model_copy(update={"inception": "web", "lpips": "web"})
    asking = replace(job, params=job.params.model_copy(update={"judge": judge}))
    assert not [name for name in transfer.pack(asking).files if name.startswith(".cache")]
    fetched = Path(".cache/networks/vgg16-397923af.pth")
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"weights")
    packed = transfer.pack(asking)
    assert [name for name in packed.files if name.startswith(".cache")] == [fetched.as_posix()]
    assert isinstance(packed.job, RowJob)
    assert packed.job.params.judge.inception == "web"


def test_a_row_that_is_to_be_judged_goes_into_a_folder_of_its_station(plan: Plan, job: RowJob) -> None:
    make_row(job, HERE.adapted / "sketch")
    packed = transfer.pack(plan.evaluate_job(plan.rows[0]), pid=42)
    place = "weights/adapted/.partial-sketch-42"
    assert packed.job == EvaluateJob(row=job, folder=place, device="cpu", threads=1)
    made = [f"{place}/{name}" for name in ("generator.safetensors", "row.json", "trace.csv")]
    assert sorted(packed.files) == [*made, *NETWORKS, *PICTURES]
    assert packed.files[made[1]] == Path("weights/adapted/sketch/row.json")
    assert packed.passing == (place,)


def test_a_row_of_which_nothing_was_made_is_not_sent_to_be_judged(plan: Plan) -> None:
    with pytest.raises(RowFailedError, match=r"^weights/adapted/sketch/row\.json: no record$"):
        transfer.pack(plan.evaluate_job(plan.rows[0]))


@pytest.fixture
def files(job: RowJob, tmp_path: Path) -> dict[str, bytes]:
    """A row's folder as it comes back, from a machine that read its true pictures elsewhere."""
    row = replace(job.row, reference_images=".outside/truth")
    return make_row(replace(job, row=row), tmp_path / "made-elsewhere")


def test_a_row_that_comes_back_is_published_with_the_paths_of_this_machine(
    job: RowJob, files: dict[str, bytes]
) -> None:
    making = results.publish_row(job, files)
    assert row_folder.state_of("sketch", job.keys) == "made"
    assert making == row_folder.read_making("sketch")
    assert making.row.reference_images == "world/truth"


@pytest.mark.parametrize("damage", ["cut", "missing", "another row"])
def test_a_row_that_is_not_whole_is_not_published(job: RowJob, files: dict[str, bytes], damage: str) -> None:
    if damage == "cut":
        files["generator.safetensors"] = b"weigh"
    elif damage == "missing":
        del files["generator.safetensors"]
    else:
        job = replace(job, keys=replace(job.keys, making="0" * 64))
    with pytest.raises(RowFailedError, match=NOT_WHOLE):
        results.publish_row(job, files)
    assert list(HERE.adapted.iterdir()) == []


def test_a_name_that_leads_elsewhere_is_written_nowhere(job: RowJob, files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(RowFailedError):
        results.publish_row(job, {**files, "row.json": b"{}", "../../../escaped": b"x"})
    assert not list(tmp_path.rglob("escaped"))


def test_a_row_is_told_of_as_it_lies_here(plan: Plan, files: dict[str, bytes]) -> None:
    ended = RowEnded(domain="sketch", result="as the other machine recorded it")
    told = results.publish(plan.group_job(plan.rows), ended, files)
    assert told == RowEnded(domain="sketch", result=row_folder.read_making("sketch"))


def test_a_row_that_cannot_be_published_is_told_of_as_lost(
    plan: Plan, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    group, ended = plan.group_job(plan.rows), RowEnded(domain="sketch", result="record")
    told = results.publish(group, ended, {**files, "generator.safetensors": b"weigh"})
    assert told.error is not None
    with pytest.raises(RowFailedError, match=NOT_WHOLE):
        raise rebuilt_error(*told.error)

    def refuse(partial: Path, domain: str) -> None:
        raise OutputError(f"{domain}: cannot be written")

    monkeypatch.setattr(row_folder, "publish", refuse)
    told = results.publish(group, ended, files)
    assert told.error is not None
    with pytest.raises(OutputError, match=r"^sketch: cannot be written$"):
        raise rebuilt_error(*told.error)


@pytest.fixture
def judged(
    plan: Plan, job: RowJob, tmp_path: Path
) -> tuple[EvaluateJob, tuple[Evaluation, Retrieval], dict[str, bytes]]:
    """A row that was made here, and its evaluation as it comes back."""
    make_row(job, HERE.adapted / "sketch")
    elsewhere = tmp_path / "judged-elsewhere"
    elsewhere.mkdir()
    for name in row_folder.JUDGED_NAMES:
        (elsewhere / name).write_text(f"{name} of another machine")
    record = make_record("sketch", making={"key": job.keys.making})
    changes = {"making_key": job.keys.making, "key": job.keys.evaluation}
    evaluation = row_folder.write_evaluation(elsewhere, record.evaluation.model_copy(update=changes))
    retrieval = record.retrieval.model_copy(update={"key": job.keys.retrieval})
    files = {f"any/where/{name}": (elsewhere / name).read_bytes() for name in row_folder.JUDGED_NAMES}
    return plan.evaluate_job(plan.rows[0]), (evaluation, retrieval), files


def test_an_evaluation_that_comes_back_completes_the_row(
    job: RowJob, judged: tuple[EvaluateJob, tuple[Evaluation, Retrieval], dict[str, bytes]]
) -> None:
    asked, result, files = judged
    assert results.unpack(asked, result, files) == result
    assert row_folder.state_of("sketch", job.keys) == "whole"
    record = row_folder.read_record("sketch")
    assert (record.evaluation, record.retrieval) == result


@pytest.mark.parametrize("damage", ["cut", "missing", "one more"])
def test_an_evaluation_that_is_not_whole_changes_nothing(
    job: RowJob, judged: tuple[EvaluateJob, tuple[Evaluation, Retrieval], dict[str, bytes]], damage: str
) -> None:
    asked, result, files = judged
    if damage == "cut":
        files["any/where/samples.webp"] = b"pictur"
    elif damage == "missing":
        del files["any/where/samples.webp"]
    else:
        files["any/where/generator.safetensors"] = b"of another row"
    before = contents(HERE.adapted / "sketch")
    with pytest.raises(RowFailedError, match=NOT_WHOLE):
        results.unpack(asked, result, files)
    assert contents(HERE.adapted / "sketch") == before


def test_embeddings_go_and_retrievals_come_back(plan: Plan) -> None:
    for planned in plan.rows[:2]:
        make_row(plan.job(planned), HERE.adapted / planned.domain)
        (HERE.adapted / planned.domain / "embeddings.safetensors").write_bytes(b"embeddings")
    asked = plan.retrieve_job(plan.rows)
    packed = transfer.pack(asked)
    sent = tuple(f"weights/adapted/{domain}/embeddings.safetensors" for domain in ("sketch", "child"))
    assert packed.job == asked
    assert set(packed.files) == {*sent, *NETWORKS[1:]}
    assert packed.passing == sent
    assert packed.results == tuple(f"weights/adapted/{domain}/retrieval.json" for domain in plan.by_domain)

    retrieval = make_record("sketch").retrieval
    write_entry(Path("elsewhere.json"), retrieval)
    written = {packed.results[0]: Path("elsewhere.json").read_bytes(), packed.results[1]: b"{}"}
    failed = results.unpack(asked, {"laugh": "no embeddings"}, written)
    assert read_entry(Path(packed.results[0]), Retrieval) == retrieval
    assert not Path(packed.results[1]).exists()
    assert failed["laugh"] == "no embeddings"
    assert sorted(failed) == ["child", "laugh"]


def contents(folder: Path) -> Mapping[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
