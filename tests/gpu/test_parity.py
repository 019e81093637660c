"""A device computes what a CPU does, but for rounding: pictures, gradients, and which layers are chosen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nada.checkpoints import load_generator
from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.loading import load_guide
from nada.config import GuideClipConfig, GuideConfig
from nada.generators.registry import Network
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.layer_selection import select_layers
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.step_inputs import draw_step_inputs
from nada.micro_batch import MicroBatch
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

pytestmark = pytest.mark.usefixtures("whole_float32")

AVATARS = Path(__file__).parents[2] / "examples" / "avatars"
GOAL = PromptPair("cartoon portrait", "pencil sketch")
CONFIG = AdaptConfig(iterations=1, batch_size=2, train="convs+rgb", selection=SelectionConfig(k=3, batch_size=2))
TOLERANCE = 1e-4  # of the norm; float32 in another order


@dataclass(frozen=True)
class World:
    """A generator, and what guides it."""

    generator: Network
    guide: Guide


def clips(folder: Path, *names: str) -> GuideConfig:
    models = tuple(GuideClipConfig(name=name, weights=str(folder / f"{name}.safetensors")) for name in names)
    return GuideConfig(models=models, config_dir=str(folder))


@pytest.fixture(params=["stylegan2", "stylegan3", "mobilestylegan", "avatars"])
def world(request: pytest.FixtureRequest, tiny_world: Path) -> Callable[[str], World]:
    """Opens a world on a device: the tiny one with a generator of each family, or the bundled one."""
    tiny: dict[str, Callable[[], Network]] = {
        "stylegan2": tiny_generator,
        "stylegan3": tiny_stylegan3,
        "mobilestylegan": tiny_mobilestylegan,
    }

    def opened(device: str) -> World:
        if request.param in tiny:
            return World(tiny[request.param]().to(device), load_guide(clips(tiny_world, "tiny-guide"), device))
        guides = clips(AVATARS / "clip", "nada-avatars-guide", "nada-avatars-guide-conv")
        return World(load_generator(AVATARS / "weights" / "generator.safetensors", device), load_guide(guides, device))

    return opened


def distance(here: Tensor, there: Tensor) -> float:
    """Of two tensors, in norms of the first."""
    return float((here.cpu() - there.cpu()).norm() / here.cpu().norm())


def test_pictures_are_the_same(world: Callable[[str], World], device: str) -> None:
    def drawn(where: str) -> Tensor:
        generator = world(where).generator
        rng = seeded_rng(0)
        ws = draw_ws(3, generator, rng)
        with torch.no_grad():
            img: Tensor = generator.synthesis(ws, noise=generator.draw_noise(3, rng))
        return img

    assert drawn(device).device.type == torch.device(device).type
    assert distance(drawn("cpu"), drawn(device)) < TOLERANCE


def test_what_is_random_is_the_same_to_the_bit(world: Callable[[str], World], device: str) -> None:
    def noise(where: str) -> list[bytes]:
        there = world(where)
        inputs = draw_step_inputs(CONFIG, there.generator, there.guide, seeded_rng(5))
        return [
            noise_map.cpu().numpy().tobytes() for seen in (inputs.source, inputs.target) for noise_map in seen.noise
        ]

    assert noise("cpu") == noise(device)


def test_losses_and_gradients_are_the_same(world: Callable[[str], World], device: str) -> None:
    def step(where: str) -> tuple[Tensor, dict[str, Tensor]]:
        there = world(where)
        target = copy.deepcopy(there.generator)
        adaptation = Adaptation(there.generator, target, there.guide, GOAL, CONFIG, seed=0)
        adaptation.parameters.train_only(target.conv_layers())
        inputs = draw_step_inputs(CONFIG, there.generator, there.guide, seeded_rng(1))
        loss = adaptation.losses(inputs)["loss"]
        loss.backward()  # type: ignore[no-untyped-call]
        found = {name: weight.grad for name, weight in target.named_parameters() if weight.grad is not None}
        return loss.detach(), found

    (loss_here, here), (loss_there, there) = step("cpu"), step(device)
    assert distance(loss_here, loss_there) < TOLERANCE
    assert here.keys() == there.keys() and len(here) > 3
    whole_here, whole_there = (torch.cat([grad.cpu().flatten() for grad in one.values()]) for one in (here, there))
    assert distance(whole_here, whole_there) < TOLERANCE


def test_the_same_layers_are_chosen(world: Callable[[str], World], device: str) -> None:
    def chosen(where: str) -> list[str]:
        there = world(where)
        places = there.guide.text_embeddings(GOAL.target)
        found = select_layers(there.generator, there.guide, places, CONFIG.selection, seeded_rng(2), MicroBatch(2))
        return [layer.name for layer in found]

    assert chosen("cpu") == chosen(device)
    assert len(chosen(device)) == CONFIG.selection.k
