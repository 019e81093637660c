"""Which latents `sample`, `strip` and `video` draw: of seeds and files, truncated, and with styles of another seed."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from nada.errors import ParamsError
from nada.judge.samples import JUDGE_SEED, fixed_latents
from nada.latents import draw_z, seeded_rng
from tasks.library.latents import CHUNK, Shown, parse_layers
from tests.conftest import TINY, tiny_generator
from tests.project import Project, project
from tests.records import publish_made

__all__ = ["project"]

L = 6
ROOT = Path(__file__).parents[3]


@pytest.fixture
def sketch(project: Project) -> Project:
    """A finished domain, and files of one, two and four latents."""
    publish_made("sketch", tiny_generator(1))
    rng = np.random.default_rng(0)
    for num in (1, 2, 4):
        np.save(f"{num}.npy", rng.normal(size=(num, L, TINY.w_dim)))
    return project


def ws(**options: object) -> torch.Tensor:
    return torch.cat(list(Shown(**options).batches(tiny_generator())))  # type: ignore[arg-type]


def seeded(seed: int, psi: float, count: int = CHUNK) -> torch.Tensor:
    """Mapped in one batch of that size, since on some processors another size has other last bits."""
    generator = tiny_generator()
    return generator.mapping(draw_z(CHUNK, generator, seeded_rng(seed))[:count], psi)


def test_seeds_are_truncated_to_seven_tenths_and_files_not(sketch: Project) -> None:
    assert torch.equal(ws(count=3, seed=2), seeded(2, 0.7, 3))
    assert torch.equal(ws(count=3, seed=2, psi=1.0), seeded(2, 1.0, 3))
    assert np.array_equal(ws(path=Path("4.npy")).numpy(), np.load("4.npy").astype(np.float32))


def test_latents_of_a_file_are_pulled_to_the_mean(sketch: Project) -> None:
    mean = tiny_generator().mapping.w_avg
    whole = ws(path=Path("4.npy"))
    assert torch.allclose(ws(path=Path("4.npy"), psi=0.5), mean + 0.5 * (whole - mean), atol=1e-6)
    assert torch.allclose(ws(path=Path("4.npy"), psi=0.0), mean.expand_as(whole))


def test_some_layers_come_from_another_seed_in_every_picture(sketch: Project) -> None:
    plain, other = ws(count=3, psi=1.0), seeded(7, 1.0, 1)[0]
    mixed = ws(count=3, psi=1.0, style_seed=7, style_layers="1,4-5")
    for row in range(L):
        expected = other[row].expand(3, -1) if row in (1, 4, 5) else plain[:, row]
        assert torch.allclose(mixed[:, row], expected)
    finer = ws(count=3, psi=1.0, style_seed=7)
    assert torch.equal(finer[:, 2], plain[:, 2])
    assert torch.allclose(finer[:, 3], other[3].expand(3, -1))


@pytest.mark.parametrize("text", ["6", "0-6", "a", "4-", "5-2", "-1", "1;2", "0,", "0-99999"])
def test_layers_that_are_not_there_are_refused(text: str) -> None:
    with pytest.raises(ParamsError, match=r"^--style-layers: .*; expected layers from 0 to 5, such as"):
        parse_layers(text, L)


def test_every_command_takes_them(sketch: Project) -> None:
    options = ["--latents", "4.npy", "--style-seed", "7", "--style-layers", "4-5", "--truncation-psi", "0.8"]
    for command in (["sample", "sketch"], ["strip", "sketch"], ["mix", "sketch:0.5"]):
        outcome = sketch.nada(*command, *options)
        assert (outcome.status, outcome.err) == (0, ""), outcome
    with Image.open("sketch.png") as sheet:
        assert sheet.size == (2 * 16 + 2, 2 * 16 + 2)  # four, in a grid
    outcome = sketch.nada("sample", "sketch", *options, "--folder", "all")
    assert outcome.out == "4 pictures in all\n"
    outcome = sketch.nada("sample", "sketch", "--style-layers", "4-5")
    assert outcome.status == 2 and "--style-seed" in outcome.err


def test_a_film_passes_the_latents_of_a_file_or_stands_at_a_single_one(sketch: Project) -> None:
    length = ["--seconds", "0.5", "--fps", "12"]
    assert sketch.nada("video", "sketch", "--latents", "4.npy", *length).status == 0
    assert sketch.nada("video", "source", "sketch", "--latents", "1.npy", "--out", "still.mp4", *length).status == 0
    with av.open("still.mp4") as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(frames) == 6
    assert np.abs(frames[0].astype(int) - frames[1]).max() < 20  # it rests at the source
    assert np.abs(frames[0].astype(int) - frames[3]).max() > 20  # and at the sketch
    walk = "latents; a walk passes 3 or more"
    for name, num in (("1", "1 "), ("2", "2 ")):
        outcome = sketch.nada("video", "sketch", "--latents", f"{name}.npy", *length)
        assert outcome.status == 2
        assert outcome.err == f"{name}.npy: {num}{walk}; of one latent, name several domains to go through\n"
    assert sketch.nada("video", "source", "sketch", "--latents", "2.npy", *length).err == f"2.npy: 2 {walk}\n"


def test_the_judges_seed_draws_the_judged_latents() -> None:
    """So that a user can make the true pictures of a row."""
    generator = tiny_generator()
    shown = torch.cat(list(Shown(count=20, seed=JUDGE_SEED).batches(generator)))
    assert torch.allclose(shown, fixed_latents(generator, 20, 0.7), atol=1e-5)  # mapped in batches of other sizes
    assert f"--seed {JUDGE_SEED} " in (ROOT / "docs" / "scores.md").read_text(encoding="utf-8")
