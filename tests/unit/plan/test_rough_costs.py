"""What is said before anything was measured follows resolution, family, guides and device."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from nada.config import ClipConfig
from nada.methods.adapt.config import AdaptConfig
from nada.methods.registry import find_method
from tasks.config.model import Params
from tasks.plan.estimate import estimate
from tasks.plan.guess.networks import embedding_seconds
from tasks.plan.guess.rough import Rough, rough_costs
from tasks.workers.pool import WorkerSpec

CPU = WorkerSpec(device="cpu", threads=1)
SMALL, LARGE = {"name": "ViT-B-32", "weights": "openai"}, {"name": "ViT-B-16", "weights": "openai"}
JUDGE = {"name": "RN50", "weights": "openai"}


def generator(folder: Path, resolution: int, base: int = 32768, family: str = "stylegan2") -> Path:
    """A file with the header of such a generator, which is all that is read."""
    config = {"family": family, "resolution": resolution, "channel_base": base, "channel_max": 512}
    path = folder / f"{family}-{resolution}.safetensors"
    save_file({"w": np.zeros(1, np.float32)}, path, metadata={"nada": json.dumps({"format": 1, "config": config})})
    return path


def rough(path: Path, device: str = "cpu", guides: Any = (SMALL,), **judge: Any) -> Rough:
    sections = {"generator": {"weights": "g"}, "guide": {"models": list(guides)}, "judge": {"model": JUDGE, **judge}}
    return rough_costs(Params.model_validate(sections), path, device)


@pytest.mark.parametrize(
    ("resolution", "base", "family", "measured"),
    [
        (256, 32768, "stylegan2", 4.4 / 2),  # a step of two pictures with ViT-B/32 (benchmarks/README.md)
        (1024, 32768, "stylegan2", 24.9 / 2),
    ],
)
def test_a_picture_of_training_is_within_a_factor_of_two_of_what_was_measured(
    tmp_path: Path, resolution: int, base: int, family: str, measured: float
) -> None:
    assert measured / 2 < rough(generator(tmp_path, resolution, base, family)).trained < measured * 2


def test_larger_pictures_guides_and_families_cost_more_and_a_gpu_less(tmp_path: Path) -> None:
    at_256, at_1024 = (generator(tmp_path, resolution) for resolution in (256, 1024))
    base = rough(at_256)
    assert rough(at_1024).trained > 3 * base.trained
    assert rough(at_256, guides=(SMALL, LARGE)).trained > 2 * base.trained
    assert rough(generator(tmp_path, 256, family="stylegan3")).judged > 8 * base.judged
    assert rough(at_256, num_images=200).judging == base.judging / 2
    assert rough(at_256, inception="web").judged == pytest.approx(base.judged + 0.2)
    on_gpu = rough(at_256, "cuda")
    assert on_gpu.trained < base.trained / 10 and on_gpu.spread > base.spread


def test_an_architecture_of_the_projects_own_is_read(tmp_path: Path) -> None:
    vision = {"image_size": 224, "layers": 12, "width": 768, "patch_size": 16}
    (tmp_path / "mine.json").write_text(json.dumps({"vision_cfg": vision}))
    mine, unknown = (ClipConfig(name=name, weights="openai") for name in ("mine", "nobodys"))
    assert embedding_seconds(mine, str(tmp_path)) == embedding_seconds(ClipConfig(**LARGE), None)
    assert embedding_seconds(unknown, str(tmp_path)) == pytest.approx(embedding_seconds(ClipConfig(**SMALL), None), 0.1)


def test_looks_of_the_judge_on_the_way_are_counted(tmp_path: Path) -> None:
    adapt, costs = find_method("adapt"), Rough(trained=1.0, prepared=0.0, judged=10.0, num_judged=3)
    fixed = AdaptConfig(iterations=40, batch_size=2)
    judged = fixed.model_copy(update={"stop": "auto", "probe_every": 20, "probe_images": 5})
    assert estimate(adapt, fixed, "g", 1, [], CPU, costs).seconds == 80 + 30
    assert estimate(adapt, judged, "g", 1, [], CPU, costs).seconds == 80 + 30 + 3 * 5 * 10
