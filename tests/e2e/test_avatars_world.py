"""The bundled world is what it claims to be: a sharp generator, a judge that knows the domains, true references."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nada.checkpoints import load_generator
from nada.clip.loading import load_clip
from nada.clip.model import ClipModel
from nada.images import to_u8
from nada.judge.features import embed_images_batched
from nada.judge.set_distances import frechet_distance
from nada.judge.spread import diversity
from nada.judge.texts import embed_prompts, nearest_texts
from nada.latents import draw_ws, seeded_rng
from nada.picture_files import read_images
from nada.picture_sets import find_pictures
from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

ROOT = Path(__file__).parents[2]
NUM_REFERENCES = 400
WEIGHTS_AND_REFERENCES_BYTES = 40_000_000


@pytest.fixture(autouse=True)
def in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # params.yaml names its files from there


@pytest.fixture
def rows() -> list[Row]:
    return load_prompts(Path("prompts.csv"), load_params())


@pytest.fixture
def judge() -> ClipModel:
    params = load_params()
    return load_clip(params.judge.model, params.guide.config_dir, params.guide.antialias, "cpu")


def test_the_night_asks_for_what_a_person_recognises_and_a_filter_defines(rows: list[Row]) -> None:
    assert {row.domain for row in rows} == {"pencil-sketch", "black-and-white", "sepia", "red", "neon"}


def test_every_domain_has_400_true_images(rows: list[Row]) -> None:
    for row in rows:
        assert row.reference_images is not None
        assert len(find_pictures(Path(row.reference_images)).names) == NUM_REFERENCES


def test_weights_and_references_stay_small() -> None:
    folders = [ROOT / "examples/avatars" / name for name in ("weights", "clip", "references")]
    files = [path for folder in folders for path in folder.iterdir()]
    kept = [path for path in files if path.with_name(f"{path.name}.gz") not in files]  # not what `make` unpacks
    assert sum(path.stat().st_size for path in kept) < WEIGHTS_AND_REFERENCES_BYTES


def test_the_judge_finds_the_true_images_of_every_domain(rows: list[Row], judge: ClipModel) -> None:
    prompts = sorted({row.target for row in rows} | {row.source for row in rows})
    for row in rows:
        images = read_images(Path(str(row.reference_images)), 64)[::8]
        emb = embed_images_batched(judge, images, 50)
        found = nearest_texts(emb, embed_prompts(judge, prompts))
        assert (found == prompts.index(row.target)).mean() >= 0.9, row.domain


def test_the_source_generator_draws_what_it_was_shown(judge: ClipModel) -> None:
    source = load_generator(ROOT / "examples/avatars/weights/generator.safetensors")
    with torch.no_grad():
        samples = to_u8(source.synthesis(draw_ws(200, source, seeded_rng(0)), noise="none"))
    portraits = read_images(ROOT / "examples/avatars/references/source.zip", 64)[::2]
    ours, true = (embed_images_batched(judge, images, 50) for images in (samples, portraits))
    sketches = embed_images_batched(judge, read_images(ROOT / "examples/avatars/references/sepia.zip", 64)[::2], 50)
    assert frechet_distance(ours, true) < 0.05 * frechet_distance(ours, sketches)
    assert diversity(ours) > 0.5 * diversity(true)
