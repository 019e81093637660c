"""Rows that travel: what goes along, under which names, and that they come back whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nada.errors import CheckpointError, ParamsError
from nada.hashing import sha256_file
from tasks.config.project import HERE
from tasks.plan.plan import make_plan
from tasks.row.job import RowJob
from tasks.store import row_folder
from tasks.workers.environment import installed
from tasks.workers.pool import RowFailedError, WorkerSpec
from tasks.workers.ray import transfer
from tasks.workers.ray.actor import RowActor, mirror_folder
from tests.project import Project, project

__all__ = ["project"]

SPEC = WorkerSpec(device="cpu", threads=1)


@pytest.fixture
def job(project: Project) -> RowJob:
    """Of the row that has true pictures."""
    plan = make_plan(Path("params.yaml"))
    return plan.job(plan.rows[0])


def test_everything_that_a_row_reads_goes_along_under_its_own_name(job: RowJob) -> None:
    packed = transfer.pack(job)
    assert packed.job == job
    assert sorted(packed.files) == [
        "weights/pretrained/generator.safetensors",
        *(f"world/tiny-{role}.{kind}" for role in ("guide", "judge") for kind in ("json", "safetensors")),
        *(f"world/truth/{index}.png" for index in range(8)),
    ]


def test_what_lies_outside_of_the_project_gets_a_name_within_the_mirror(job: RowJob, project: Project) -> None:
    outside = project.folder / "world"
    row = replace(job.row, reference_images=str(outside / "truth"))
    guide = job.params.guide.model_copy(update={"config_dir": str(outside)})
    packed = transfer.pack(replace(job, row=row, params=job.params.model_copy(update={"guide": guide})))
    place = f".outside{outside.resolve()}"
    assert packed.job.row.reference_images == f"{place}/truth"
    assert packed.job.params.guide.config_dir == place
    assert packed.files[f"{place}/truth/0.png"] == outside / "truth" / "0.png"
    assert packed.files[f"{place}/tiny-guide.json"] == outside / "tiny-guide.json"


def test_published_networks_go_along_where_they_were_fetched(job: RowJob) -> None:
    judge = job.params.judge.model_copy(update={"inception": "web", "lpips": "web"})
    asking = replace(job, params=job.params.model_copy(update={"judge": judge}))
    assert not [name for name in transfer.pack(asking).files if name.startswith(".cache")]
    fetched = Path(".cache/networks/vgg16-397923af.pth")
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"weights")
    packed = transfer.pack(asking)
    assert [name for name in packed.files if name.startswith(".cache")] == [fetched.as_posix()]
    assert packed.job.params.judge.inception == "web"


@pytest.fixture
def files(job: RowJob) -> dict[str, bytes]:
    """A row's folder as it comes back, from a machine that read its true pictures elsewhere."""
    folder = row_folder.partial_dir("made-elsewhere")
    (folder / "generator.safetensors").write_bytes(b"weights")
    row = {**asdict(job.row), "reference_images": ".outside/truth"}
    row_folder.write_record(folder, {"key": job.key, "domain": "sketch", "row": row})
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    return made


def test_a_row_that_comes_back_is_published_with_the_paths_of_this_machine(
    job: RowJob, files: dict[str, bytes]
) -> None:
    record = transfer.unpack(job, files)
    assert row_folder.is_finished("sketch", job.key)
    assert record == json.loads(Path("weights/adapted/sketch/row.json").read_text())
    assert record["row"]["reference_images"] == "world/truth"


@pytest.mark.parametrize("damage", ["cut", "missing", "another row"])
def test_a_row_that_is_not_whole_is_not_published(job: RowJob, files: dict[str, bytes], damage: str) -> None:
    if damage == "cut":
        files["generator.safetensors"] = b"weigh"
    elif damage == "missing":
        del files["generator.safetensors"]
    else:
        job = replace(job, key="0" * 64)
    with pytest.raises(RowFailedError, match=r"^sketch: what came back from another machine is not the whole row$"):
        transfer.unpack(job, files)
    assert list(HERE.adapted.iterdir()) == []


def test_a_name_that_leads_elsewhere_is_written_nowhere(job: RowJob, files: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(RowFailedError):
        transfer.unpack(job, {**files, "row.json": b"{}", "../../../escaped": b"x"})
    assert not list(tmp_path.rglob("escaped"))


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RowActor]:
    """A station in a mirror of its own, without a worker."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr("tasks.workers.ray.actor.WorkerPool", lambda specs: None)
    monkeypatch.chdir(tmp_path)  # and back
    station = RowActor()
    assert station.open("project", SPEC, installed()) == station.machine
    assert Path.cwd() == mirror_folder(station.machine, "project")
    yield station


def test_a_file_is_sent_once_and_again_when_it_was_touched(station: RowActor, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"weights")
    files = {"clip/a.bin": sha256_file(tmp_path / "a.bin")}
    assert station.missing(files) == ["clip/a.bin"]
    station.receive("clip/a.bin", files["clip/a.bin"], b"weights")
    assert station.missing(files) == []
    neighbour = RowActor()
    assert neighbour.missing(files) == []
    Path("clip/a.bin").write_bytes(b"damaged")
    assert RowActor().missing(files) == ["clip/a.bin"]


def test_a_picture_that_is_no_longer_among_the_true_ones_is_removed(station: RowActor) -> None:
    for name in ("truth/a.png", "truth/old/b.png", "clip/c.bin"):
        station.receive(name, hashlib.sha256(b"x").hexdigest(), b"x")
    files = {"truth/a.png": hashlib.sha256(b"x").hexdigest()}
    assert station.missing(files, "truth") == []
    assert sorted(path.name for path in Path().rglob("?.*")) == ["a.png", "c.bin"]


def test_other_bytes_than_announced_are_refused(station: RowActor) -> None:
    with pytest.raises(CheckpointError, match=r"^a\.bin: changed while it was sent to .+; start the night again$"):
        station.receive("a.bin", "0" * 64, b"weights")
    assert not Path("a.bin").exists()


@pytest.mark.parametrize("name", ["../a.bin", "/a.bin", "clip/../../a.bin"])
def test_a_path_that_leads_out_of_the_mirror_is_refused(station: RowActor, name: str) -> None:
    with pytest.raises(CheckpointError, match="leads out of the mirror"):
        station.receive(name, "0" * 64, b"weights")


def test_a_machine_with_other_versions_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"^.+: torch \S+ in place of 1\.0; install the same there$"):
        RowActor().open("project", SPEC, {**installed(), "torch": "1.0"})
