"""Files that people have and that differ from what the repositories write today: read, or refused with the reason."""

from __future__ import annotations

import argparse
import bz2
import gzip
import lzma
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.checkpoints import inspect, read_any
from nada.errors import CheckpointError
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2
from tests.checkpoint_files import (
    GOLDEN_CONFIGS,
    Persistent,
    as_nvidia_dict,
    golden_network,
    nvidia_tree,
    rosinality_state,
    write_nvidia,
)
from tests.conftest import tiny_generator
from tests.tensorflow_files import tensorflow_network, write_tensorflow

MEASURED = "no mean w in the file: measured on fixed latents"
DRAWN = "no noise maps in the file: drawn by a fixed seed"


@pytest.fixture
def generator() -> StyleGAN2:
    generator = tiny_generator()
    generator.mapping.w_avg.normal_()
    return generator


def without_noises(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.startswith("noises.")}


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def encoder(state: dict[str, Tensor], mean: Tensor) -> dict[str, Any]:
    """What pSp and e4e save: the encoder, its generator as `decoder`, and the mean w, mostly for each row of ws."""
    parts = {"encoder.input_layer.0.weight": torch.zeros(3), **prefixed("decoder.", state)}
    return {"state_dict": parts, "latent_avg": mean, "opts": argparse.Namespace(stylegan_size=16)}


Wrap = Callable[[dict[str, Tensor], Tensor], Any]
WRAPPINGS: dict[str, tuple[Wrap, tuple[str, ...]]] = {
    "DataParallel": (lambda state, mean: {"g_ema": prefixed("module.", state), "latent_avg": mean}, ()),
    "DataParallel alone": (lambda state, mean: prefixed("module.", state), (MEASURED,)),
    "not averaged": (
        lambda state, mean: {"g": state, "d": {"x": torch.zeros(1)}, "latent_avg": mean},
        ("no averaged generator in the file: 'g' is read, as it was last trained",),
    ),
    "g beside g_ema": (lambda state, mean: {"g": {}, "g_ema": state, "latent_avg": mean}, ()),
    "without noises": (lambda state, mean: {"g_ema": without_noises(state), "latent_avg": mean}, (DRAWN,)),
    "without noises and mean": (lambda state, mean: {"g_ema": without_noises(state)}, (MEASURED, DRAWN)),
    "pSp": (lambda state, mean: encoder(state, mean.repeat(6, 1)), ()),
    "e4e": (lambda state, mean: encoder(state, mean[None]), ()),
    "an encoder whose rows differ": (lambda state, mean: encoder(state, torch.randn(6, 8)), (MEASURED,)),
    "an encoder in DataParallel": (
        lambda state, mean: {"state_dict": prefixed("module.decoder.", state), "latent_avg": mean},
        (),
    ),
}


@pytest.mark.parametrize("is_zip", [True, False])
@pytest.mark.parametrize("name", WRAPPINGS)
def test_rosinalitys_generator_is_found_wherever_it_is_kept(
    generator: StyleGAN2, tmp_path: Path, name: str, is_zip: bool
):
    wrap, supplied = WRAPPINGS[name]
    state = rosinality_state(generator)
    mean = state.pop("latent_avg")
    torch.save(wrap(state, mean), tmp_path / "g.pt", _use_new_zipfile_serialization=is_zip)
    read, ours = read_any(tmp_path / "g.pt").state_dict(), generator.state_dict()
    replaced = {MEASURED: "w_avg", DRAWN: "noise_const"}
    lacking = tuple(replaced[sentence] for sentence in supplied if sentence in replaced)
    differing = {key for key in ours if not torch.equal(read[key], ours[key])}
    assert differing == {key for key in ours if lacking and key.endswith(lacking)}
    held = inspect(tmp_path / "g.pt")
    assert held.supplied == supplied
    assert held.is_usual == (name == "g beside g_ema"), "the tools of its format read g_ema, with every tensor"


def test_noise_maps_that_a_file_lacks_are_always_the_same(generator: StyleGAN2, tmp_path: Path):
    torch.save({"g_ema": without_noises(rosinality_state(generator))}, tmp_path / "g.pt")
    first, again = (read_any(tmp_path / "g.pt").synthesis.b16.conv0.noise_const for _ in range(2))
    assert torch.equal(first, again) and 0.5 < first.std() < 1.5


def test_some_noise_maps_missing_is_damage(generator: StyleGAN2, tmp_path: Path):
    state = rosinality_state(generator)
    del state["noises.noise_2"]
    torch.save({"g_ema": state}, tmp_path / "g.pt")
    with pytest.raises(CheckpointError, match=r"1 keys missing \(first: 'noises.noise_2'\)"):
        read_any(tmp_path / "g.pt")


def nvidia(tmp_path: Path, generator: Network, change: Callable[[Persistent], None]) -> Path:
    """A pickle of NVIDIA's whose tree of modules was changed."""
    config = generator.config if generator.config.family == "stylegan3" else None
    tree = nvidia_tree(generator.state_dict(), config=config)  # type: ignore[arg-type]
    change(tree)
    return write_nvidia(tmp_path / "g.pkl", as_nvidia_dict(tree))


def drop_mean(tree: Persistent) -> None:
    mapping = tree.state["_modules"]["mapping"]
    mapping.state["w_avg_beta"] = None
    del mapping.state["_buffers"]["w_avg"]


def convs(tree: Persistent) -> list[Persistent]:
    blocks = tree.state["_modules"]["synthesis"].state["_modules"].values()
    return [part for block in blocks for name, part in block.state["_modules"].items() if name.startswith("conv")]


def drop_noise(tree: Persistent) -> None:
    for conv in convs(tree):
        conv.state["use_noise"] = False
        del conv.state["_parameters"]["noise_strength"], conv.state["_buffers"]["noise_const"]


@pytest.mark.parametrize("name", ["nv2_32px", "nv3t_32px"])
def test_a_mean_w_that_was_never_tracked_is_measured(tmp_path: Path, name: str):
    generator = golden_network(name)
    path = nvidia(tmp_path, generator, drop_mean)
    mean = generator.mapping.to_w(torch.randn(20_000, generator.z_dim)).mean(dim=0)
    assert torch.allclose(read_any(path).mapping.w_avg, mean, atol=0.1)
    assert inspect(path).supplied == (MEASURED,)


@torch.no_grad()
def test_a_generator_without_noise_makes_the_pictures_it_made(tmp_path: Path, generator: StyleGAN2):
    path = nvidia(tmp_path, generator, drop_noise)
    ws = generator.mapping(torch.randn(2, 8))
    assert torch.equal(read_any(path).synthesis(ws, noise="const"), generator.synthesis(ws, noise="none"))
    assert inspect(path).supplied == ("trained without noise: its strength is 0",)


def forget(table: str, name: str, of: Callable[[Persistent], Persistent]) -> Callable[[Persistent], None]:
    """Drop a tensor of a module, which says nothing of it."""
    return lambda tree: of(tree).state[table].pop(name)


def widen_mapping(tree: Persistent) -> None:
    layers = tree.state["_modules"]["mapping"].state["_modules"]
    layers["fc0"].state["_parameters"] = OrderedDict(weight=torch.zeros(4, 8), bias=torch.zeros(4))
    layers["fc1"].state["_parameters"]["weight"] = torch.zeros(8, 4)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            forget("_buffers", "w_avg", lambda tree: tree.state["_modules"]["mapping"]),
            "1 keys missing (first: 'mapping.",
        ),
        (forget("_buffers", "noise_const", lambda tree: convs(tree)[0]), "1 keys missing (first: 'synthesis.b4.conv1"),
        (
            widen_mapping,
            "the mapping network's layers are 4, 8 wide; only one width for all is supported, that of w (layer_fe",
        ),
    ],
)
def test_what_the_modules_do_not_explain_is_refused(
    tmp_path: Path, generator: StyleGAN2, change: Callable[[Persistent], None], reason: str
):
    path = nvidia(tmp_path, generator, change)
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value).startswith(f"{path}: {reason}")


def test_sizes_that_are_no_powers_of_two_are_named(tmp_path: Path):
    config = GOLDEN_CONFIGS["nv3t_32px"].model_copy(update={"resolution": 48})
    layers = golden_network("nv3t_32px").state_dict()
    path = tmp_path / "g.pkl"
    last = next(name.split(".")[1] for name in layers if name.endswith("_3.weight"))
    renamed = {name.replace(last, "L6_48_3"): tensor for name, tensor in layers.items()}
    write_nvidia(path, as_nvidia_dict(nvidia_tree(renamed, config=config)))  # type: ignore[arg-type]
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value) == f"{path}: architecture: pictures of 48 px; only powers of two are supported"


@pytest.mark.parametrize("sides", [{"resolution_w": 16, "resolution_h": 16}, {"resolution": 16, "resolution_h": 16}])
def test_tensorflows_sides_may_be_equal(tmp_path: Path, generator: StyleGAN2, sides: dict[str, int]):
    network = tensorflow_network(generator.state_dict(), static_kwargs=sides)
    assert read_any(write_tensorflow(tmp_path / "g.pkl", network)).resolution == 16


def test_tensorflows_pictures_that_are_not_square_are_refused(tmp_path: Path, generator: StyleGAN2):
    network = tensorflow_network(generator.state_dict(), static_kwargs={"resolution_w": 16, "resolution_h": 24})
    with pytest.raises(CheckpointError, match="pictures of 16 x 24 px; only square ones are supported"):
        read_any(write_tensorflow(tmp_path / "g.pkl", network))


@pytest.mark.parametrize(
    ("compress", "program"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")]
)
def test_compressed_files_are_named_with_the_command(tmp_path: Path, compress: Callable[[bytes], bytes], program: str):
    for name, out in (("g.pkl.gz", "g.pkl"), ("g.pt", "g-unpacked.pt")):
        path = tmp_path / name
        path.write_bytes(compress(b"x"))
        with pytest.raises(CheckpointError) as err:
            read_any(path)
        assert str(err.value) == f"{path}: compressed; unpack it first: {program} -dc {path} > {tmp_path / out}"
