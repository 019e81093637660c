"""How many workers share a GPU, by made-up GPUs; there was none to run this on."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from nada.config import GuideClipConfig
from nada.errors import ParamsError
from nada.generators.registry import Architecture
from nada.generators.stylegan2 import StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3Config
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.registry import find_method
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.plan import devices
from tasks.plan.capacity import (
    CONTEXT_BYTES,
    COPIES,
    GIB,
    GUIDE_BYTES,
    SAFETY,
    Need,
    largest_need,
    models_bytes,
    share_gpus,
)
from tasks.plan.devices import find_workers
from tasks.plan.estimate import MeasuredRow, recipe_of
from tasks.plan.planning import make_plan
from tasks.workers import gpus
from tests.methods.shift.config import ShiftConfig
from tests.methods.shift.method import Shift
from tests.project import Project, project

__all__ = ["project"]

ADAPT = find_method("adapt")
AT_256 = StyleGAN2Config(resolution=256, channel_base=16384)
AT_1024 = StyleGAN2Config(resolution=1024)
STYLE = AdaptConfig(batch_size=4)
NEED = Need(num_bytes=4 * GIB, basis="estimated")


@pytest.mark.parametrize(
    ("architecture", "measured_gib"),
    [(AT_256, 0.15), (AT_1024, 1.23), (StyleGAN3Config(resolution=256, channel_base=16384), 1288 / 1024)],
)
def test_a_pictures_graph_is_as_large_as_it_was_measured(architecture: Architecture, measured_gib: float) -> None:
    assert architecture.graph_bytes() / GIB == pytest.approx(measured_gib, rel=0.02)


@pytest.mark.parametrize(
    ("free_gib", "cores", "num_rows", "each"),
    [
        (78, 16, 100, 4),  # an H100: no more than four
        (11, 16, 100, 2),  # memory decides
        (78, 3, 100, 3),  # cores decide
        (78, 16, 2, 2),  # rows decide
        (2, 16, 100, 1),  # there is always one, which fp16_tensors its micro-batch
        (78, 16, 0, 1),
    ],
)
def test_memory_cores_and_rows_bound_the_workers_of_a_gpu(free_gib: int, cores: int, num_rows: int, each: int) -> None:
    assert share_gpus({"cuda:0": free_gib * GIB}, NEED, cores, num_rows).each == {"cuda:0": each}


def test_every_gpu_is_shared_by_its_own_memory_and_rows_spread_over_all() -> None:
    free = {"cuda:0": 78 * GIB, "cuda:1": 9 * GIB}
    assert share_gpus(free, NEED, cores=16, num_rows=100).each == {"cuda:0": 4, "cuda:1": 2}
    assert share_gpus(free, NEED, cores=16, num_rows=2).each == {"cuda:0": 1, "cuda:1": 1}


@pytest.fixture
def params(project: Project) -> Params:
    return load_params(Path("params.yaml"))


def need(
    params: Params, adapt: AdaptConfig = STYLE, architecture: Architecture = AT_256, *samples: MeasuredRow
) -> Need:
    return largest_need([(ADAPT, adapt)], params, architecture, GIB, samples)


def test_the_largest_row_decides(params: Params) -> None:
    both = largest_need([(ADAPT, STYLE), (ADAPT, AdaptConfig(batch_size=64))], params, AT_256, GIB, [])
    assert both == need(params, AdaptConfig(batch_size=64))
    assert both.num_bytes > need(params).num_bytes


def test_a_larger_generator_needs_more_and_a_micro_batch_less(params: Params) -> None:
    large = need(params, architecture=AT_1024)
    night = params.night.model_copy(update={"micro_batch": 1})
    bounded = need(params.model_copy(update={"night": night}), architecture=AT_1024)
    assert need(params).num_bytes < bounded.num_bytes < large.num_bytes


def test_layer_selection_ranks_with_a_batch_of_its_own(params: Params) -> None:
    selecting = AdaptConfig(batch_size=2, selection=SelectionConfig(k="auto", batch_size=8))
    alone = selecting.model_copy(update={"train": "rgb"})

    def pictures(config: AdaptConfig, at_once: int | None = None) -> int:
        return ADAPT.graph_bytes(config, AT_256, 1, at_once)

    assert (pictures(selecting), pictures(alone)) == (8, 2)
    assert (pictures(selecting, at_once=3), pictures(alone, at_once=3)) == (3, 2)
    assert need(params, selecting, AT_1024).num_bytes > need(params, alone, AT_1024).num_bytes


def test_rows_that_ride_together_need_room_for_the_pictures_of_all() -> None:
    shift, config = Shift(), ShiftConfig(batch_size=2)
    assert shift.graph_bytes(config, AT_256, 1, None) == shift.num_together(config) * 2
    assert shift.graph_bytes(config, AT_256, 1, 3) == 3
    light = AdaptConfig(batch_size=2, parameters="modulation", together=8)
    assert [ADAPT.graph_bytes(light, AT_256, 1, at_once) for at_once in (None, 5)] == [16, 5]
    assert ADAPT.graph_bytes(AdaptConfig(batch_size=2, together=8), AT_256, 1, None) == 2


def test_what_a_gpu_has_measured_takes_the_place_of_the_estimate(params: Params) -> None:
    sample = MeasuredRow(
        device="cuda",
        threads=4,
        generator="g",
        recipe=recipe_of(ADAPT, STYLE),
        batch_size=4,
        seconds_per_step=0.1,
        judge_seconds=1.0,
        gpu_bytes=2 * GIB,
    )
    assert need(params, STYLE, AT_256, sample) == Need(
        num_bytes=CONTEXT_BYTES + int(SAFETY * 2 * GIB), basis="measured"
    )
    assert need(params, AdaptConfig(batch_size=8), AT_256, sample).basis == "estimated"


def test_models_count_by_their_files_and_tags_by_a_guess(params: Params) -> None:
    world = Path("world")
    clips = sum((world / f"tiny-{role}.safetensors").stat().st_size for role in ("guide", "judge"))
    known = COPIES * (world / "generator.safetensors").stat().st_size + clips
    assert models_bytes(world / "generator.safetensors", params) == known
    tagged = (*params.guide.models, GuideClipConfig(name="ViT-B-32", weights="openai"))
    more = params.model_copy(update={"guide": params.guide.model_copy(update={"models": tagged})})
    assert models_bytes(world / "generator.safetensors", more) == known + GUIDE_BYTES


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of 16 cores and two GPUs, of which one is nearly full."""
    monkeypatch.setattr(devices, "gpus", lambda: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(devices, "free_bytes", lambda: {"cuda:0": 78 * GIB, "cuda:1": 3 * GIB})
    monkeypatch.setattr(devices, "cores", lambda: 16)


def with_night(project: Project, **night: Any) -> None:
    text = (project.folder / "params.yaml").read_text().replace("  device: cpu\n  workers: 2\n", "")
    lines = "".join(f"  {name}: {value}\n" for name, value in night.items())
    (project.folder / "params.yaml").write_text(text.replace("night:\n", f"night:\n{lines}  seed: 0\n"))


def test_the_plan_says_how_many_rows_share_a_gpu_and_why(project: Project, two_gpus: None) -> None:
    with_night(project, device="auto")
    project.prompts(*(f"d{index},portrait,thing {index},style," for index in range(20)))
    outcome = project.nada("plan", "--no-preflight")
    assert "on 5 workers (cuda:0, cuda:1, 3 threads each)" in outcome.out
    assert (
        "A row needs about 2.3 GiB of a GPU (estimated): 4 at once on cuda:0 (78 GiB free), "
        "1 at once on cuda:1 (3 GiB free)." in outcome.out
    )


def test_a_number_of_workers_is_taken_as_it_stands(project: Project, two_gpus: None) -> None:
    with_night(project, device="cuda:0", workers=6)
    plan = make_plan(Path("params.yaml"))
    assert [spec.device for spec in plan.workers] == ["cuda:0"] * 6
    assert plan.capacity is None


def test_a_gpu_that_does_not_say_what_is_free_gets_one_worker(
    project: Project, two_gpus: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_night(project, device="auto")
    monkeypatch.setattr(devices, "free_bytes", lambda: {})
    plan = make_plan(Path("params.yaml"))
    assert ([spec.device for spec in plan.workers], plan.capacity) == (["cuda:0", "cuda:1"], None)


def test_a_missing_gpu_is_told_with_those_there_are(params: Params, two_gpus: None) -> None:
    night = params.night.model_copy(update={"device": "cuda:2"})
    with pytest.raises(ParamsError, match=r"allowed are 'auto', 'cpu' and GPUs \(this machine's: cuda:0, cuda:1\)$"):
        find_workers(params.model_copy(update={"night": night}), 1)


@pytest.mark.parametrize("said", ["", "no JSON", "[]", '{"cuda:0": "much"}'])
def test_a_process_that_cannot_ask_the_gpus_costs_no_night(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: Any, **__: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 0, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    assert gpus.free_bytes() == {}


def test_the_process_that_asks_finds_no_gpu_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "GPU_FILES", ())
    assert gpus.gpus() == []
    assert gpus.peak_bytes("cpu") is None


def test_the_first_row_of_a_process_begins_before_cuda_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(device: str) -> None:
        raise RuntimeError(f"Invalid device argument {device}: did you call init?")  # as torch does

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset)
    gpus.forget_peak("cuda:0")
    assert gpus.peak_bytes("cuda:0") == 0


def test_what_earlier_rows_took_of_a_gpu_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", forgotten.append)
    gpus.forget_peak("cuda:1")
    assert forgotten == ["cuda:1"]


def test_on_cpus_nothing_of_a_gpu_is_said(project: Project) -> None:
    assert "of a GPU" not in project.nada("plan", "--no-preflight").out
