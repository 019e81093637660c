"""A tiny real world for tests: a 16 px StyleGAN2 and two open_clip ViTs, with random weights."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from safetensors.torch import save_file

from nada.checkpoints.canonical import save_generator
from nada.clip.guide import Guide
from nada.clip.loading import load_guide
from nada.clip.open_clip_import import open_clip
from nada.config import GuideClipConfig, GuideConfig
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3, StyleGAN3Config

torch.set_num_threads(1)  # as workers have; more threads only wait for each other on such small networks
# The same examples every time, however busy the machine: what holds today holds tomorrow. Some would else be constants
# of those modules of ours that are loaded by then, which differ with the tests that this process ran before.
providers._get_local_constants = Constants
settings.register_profile("nada", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("nada")

TESTS = Path(__file__).parent

TINY = StyleGAN2Config(z_dim=8, w_dim=8, resolution=16, channel_base=128, channel_max=16, mapping_layers=2)

TINY3 = StyleGAN3Config(z_dim=8, w_dim=8, resolution=16, channel_base=128, channel_max=16, num_layers=4, margin_size=2)

TINY_MOBILE = MobileStyleGANConfig(z_dim=8, w_dim=8, resolution=16, channel_base=128, channel_max=16, mapping_layers=2)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their length: what they hold may differ between the workers that share the tests."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


def tiny_generator(seed: int = 0) -> StyleGAN2:
    """A random generator whose noise is on, so that two renderings of one latent differ."""
    torch.manual_seed(seed)
    generator = StyleGAN2(TINY)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.1)
    return generator.eval().requires_grad_(False)


def tiny_stylegan3(seed: int = 0) -> StyleGAN3:
    """A random generator of another family, of the same size."""
    torch.manual_seed(seed)
    return StyleGAN3(TINY3).eval().requires_grad_(False)


def tiny_mobilestylegan(seed: int = 0) -> MobileStyleGAN:
    """A random generator of the third family, of the same size, its noise on."""
    torch.manual_seed(seed)
    generator = MobileStyleGAN(TINY_MOBILE)
    for name, buffer in generator.named_buffers():
        if name.endswith("noise_const"):
            buffer.normal_(std=0.1)
    return generator.eval().requires_grad_(False)


def write_tiny_clip(folder: Path, name: str, seed: int) -> None:
    """NAME.json and NAME.safetensors of a one-layer ViT."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
    (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(seed)
    model = open_clip.create_model(name)
    save_file(model.state_dict(), folder / f"{name}.safetensors")


def make_tiny_world(folder: Path) -> Path:
    """Fill a folder with generator.safetensors, tiny-guide.* and tiny-judge.*; returns it."""
    save_generator(folder / "generator.safetensors", tiny_generator())
    write_tiny_clip(folder, "tiny-guide", seed=1)
    write_tiny_clip(folder, "tiny-judge", seed=2)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that start, kill and wait for processes are tried twice: docs/decisions/0033-a-second-try.md."""
    for item in items:
        if item.path.is_relative_to(TESTS / "e2e") or item.path.is_relative_to(TESTS / "faults"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Random numbers without a seed of their own are the same whatever other tests drew before, fixtures included."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def own_modules() -> Iterator[None]:
    """A command that a test runs here keeps its folder out of `sys.path` for all that it starts, and no longer."""
    yield
    os.environ.pop("PYTHONSAFEPATH", None)


@pytest.fixture(scope="module", autouse=True)
def nothing_warm() -> Iterator[None]:
    """Files that share a process by chance find nothing that rows of another one left loaded, or known of pictures."""
    yield
    if (models := sys.modules.get("tasks.row.models")) is not None:
        models._warm.clear()
        models._networks.clear()


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """See `make_tiny_world`; whichever test is the first to ask for it draws the same numbers as if it were not."""
    with torch.random.fork_rng(devices=[]):
        return make_tiny_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def tiny_guide(tiny_world: Path) -> Guide:
    """The tiny guide, loaded as a user's would be; likewise."""
    clip = GuideClipConfig(name="tiny-guide", weights=str(tiny_world / "tiny-guide.safetensors"))
    with torch.random.fork_rng(devices=[]):
        return load_guide(GuideConfig(models=(clip,), config_dir=str(tiny_world)), "cpu")
