from __future__ import annotations

import pytest
import torch

from nada.clip.guide import Guide
from nada.errors import ShapeError
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.step_inputs import StepInputs, draw_render_inputs, draw_step_inputs
from tests.conftest import tiny_generator


def test_drawn_noise_changes_the_picture() -> None:
    generator, rng = tiny_generator(), seeded_rng(0)
    ws = draw_ws(1, generator, rng)
    first, second = (generator.synthesis(ws, generator.draw_noise(1, rng)) for _ in range(2))
    assert not torch.equal(first, second)


def test_maps_equal_to_the_stored_ones_give_the_same_picture() -> None:
    generator = tiny_generator()
    ws = draw_ws(2, generator, seeded_rng(0))
    stored = [generator.synthesis.get_submodule(layer.name).noise_const for layer in generator.conv_layers()]
    maps = tuple(noise_map.expand(2, 1, *noise_map.shape) for noise_map in stored)  # type: ignore[operator, union-attr]
    torch.testing.assert_close(generator.synthesis(ws, maps), generator.synthesis(ws, "const"))


def test_noise_of_another_batch_is_refused() -> None:
    generator = tiny_generator()
    ws = draw_ws(2, generator, seeded_rng(0))
    with pytest.raises(ShapeError, match=r"noise: expected maps \[\(2, 1, 4, 4\), .*draw them with draw_noise"):
        generator.synthesis(ws, generator.draw_noise(3, seeded_rng(0)))


def test_a_split_batch_shows_the_same_pictures(tiny_guide: Guide) -> None:
    generator, config = tiny_generator(), AdaptConfig(batch_size=5, style_mixing=0.5)

    def source_embeddings(inputs: StepInputs) -> torch.Tensor:
        img = generator.synthesis(inputs.ws, noise=inputs.source.noise)
        (emb,) = tiny_guide.embed_images(img, inputs.source.views)
        return emb

    inputs = draw_step_inputs(config, generator, tiny_guide, seeded_rng(0))
    whole, some = source_embeddings(inputs), list(inputs.split(2))
    assert [len(part) for part in some] == [2, 2, 1]
    split = torch.cat([source_embeddings(part) for part in some])
    torch.testing.assert_close(split, whole, atol=1e-6, rtol=1e-5)


def test_source_and_target_are_seen_differently(tiny_guide: Guide) -> None:
    generator = tiny_generator()
    inputs = draw_step_inputs(AdaptConfig(), generator, tiny_guide, seeded_rng(0))
    assert not torch.equal(inputs.source.noise[0], inputs.target.noise[0])
    other = draw_render_inputs(2, generator, tiny_guide, seeded_rng(0))
    assert [noise_map.shape for noise_map in other.noise] == [noise_map.shape for noise_map in inputs.source.noise]
