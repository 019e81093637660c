"""NVIDIA's pickles: recorded outputs through the file, and clear refusals of what is not supported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nada.checkpoints import read_any, save_generator
from nada.errors import CheckpointError
from tests.checkpoint_files import (
    EasyDict,
    as_nvidia_dict,
    golden_arrays,
    golden_state,
    nvidia_tree,
    write_nvidia,
)
from tests.conftest import TINY, tiny_generator
from tests.hostile.common import changed

TOLERANCE = 1e-4  # of the largest value


@torch.no_grad()
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(("name", "conv_clamp"), [("nv2_32px", None), ("nv2_64px_clamp", 256)])
def test_images_from_a_pickle_match_the_reference(tmp_path: Path, name: str, conv_clamp: int | None, protocol: int):
    tree = nvidia_tree(golden_state(name), conv_clamp)
    generator = read_any(write_nvidia(tmp_path / "golden.pkl", as_nvidia_dict(tree), protocol))
    recorded = golden_arrays(name)
    ws = generator.mapping(recorded["z"], 0.7)
    img = generator.synthesis(ws, noise="const")
    assert (img - recorded["img_psi0.7"]).abs().max() < TOLERANCE * recorded["img_psi0.7"].abs().max()
    assert generator.config.conv_clamp == conv_clamp
    assert all(torch.equal(tensor, generator.state_dict()[key]) for key, tensor in golden_state(name).items())


def test_architecture_follows_from_the_shapes(tmp_path: Path):
    tree = nvidia_tree(golden_state("nv2_64px_clamp"), 256)
    config = read_any(write_nvidia(tmp_path / "golden.pkl", as_nvidia_dict(tree))).config
    assert (config.z_dim, config.w_dim, config.resolution, config.mapping_layers) == (24, 40, 64, 8)
    assert (config.channel_base, config.channel_max) == (1024, 48)


def test_numpy_numbers_by_their_older_name_are_read(tmp_path: Path):
    path = write_nvidia(tmp_path / "old.pkl", as_nvidia_dict(nvidia_tree(tiny_generator().state_dict())))
    content = path.read_bytes()
    assert b"cnumpy._core.multiarray\nscalar\n" in content
    path.write_bytes(content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    assert read_any(path).config.resolution == TINY.resolution


def test_arguments_of_the_later_repository_are_read(tmp_path: Path):
    tree = nvidia_tree(tiny_generator().state_dict(), conv_clamp=256)
    tree.state["_init_kwargs"] = EasyDict(z_dim=8, num_fp16_res=4, fused_modconv_default="inference_only")
    for block in tree.state["_modules"]["synthesis"].state["_modules"].values():
        block.state.update(use_fp16=True, is_last=False, num_conv=2)
    assert read_any(write_nvidia(tmp_path / "tiny.pkl", as_nvidia_dict(tree))).config.conv_clamp == 256


def test_clamp_is_taken_from_the_layers_when_the_arguments_omit_it(tmp_path: Path):
    tree = nvidia_tree(tiny_generator().state_dict(), conv_clamp=256)
    tree.state["_init_kwargs"].clear()
    assert read_any(write_nvidia(tmp_path / "tiny.pkl", as_nvidia_dict(tree))).config.conv_clamp == 256


def test_content_decides_whatever_the_name_says(tmp_path: Path):
    generator = tiny_generator()
    save_generator(tmp_path / "really-safetensors.pkl", generator)
    write_nvidia(tmp_path / "really-a-pickle.pt", as_nvidia_dict(nvidia_tree(generator.state_dict())))
    for name in ("really-safetensors.pkl", "really-a-pickle.pt"):
        read = read_any(tmp_path / name).state_dict()
        assert all(torch.equal(tensor, read[key]) for key, tensor in generator.state_dict().items())


def refusal(path: Path, content: Any) -> str:
    write_nvidia(path, content)
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value).startswith(f"{path}: ")
    return str(err.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(c_dim=10), "class-conditional generator (c_dim 10); only unconditional generators can be adapted"),
        (changed("mapping", c_dim=3), "class-conditional generator (c_dim 3); only unconditional generators"),
        (changed("synthesis.b8", architecture="resnet"), "generator of architecture 'resnet'; only 'skip'"),
        (changed("synthesis.b4", architecture="orig"), "generator of architecture 'orig'; only 'skip'"),
        (changed("mapping.fc1", activation="relu"), "activation 'relu'; only 'lrelu', the default, is supported"),
        (changed(img_channels=1), "1 image channels; expected 3 (RGB)"),
        (changed("mapping.fc0", bias_gain=1.0), "mapping with lr_multiplier 0.01, 1.0; only 0.01, the default"),
        (changed("synthesis.b4.conv1", conv_clamp=9), "layers clamp differently (9, None); expected one conv_clamp"),
        (changed("synthesis", _modules={}), "'G_ema' is a 'Generator'; expected a StyleGAN2 or 3 generator"),
        (changed("synthesis.b8.conv1", _parameters={}), "3 keys missing (first: 'synthesis.b8.conv1.weight')"),
        ({"G": 1, "D": 2}, "no 'G_ema' in the pickle (found 'G', 'D'); expected NVIDIA's StyleGAN format"),
        ([1, 2], "no 'G_ema' in the pickle (found a list); expected NVIDIA's StyleGAN format"),
    ],
)  # fmt: skip
def test_unsupported_generators_are_refused_with_the_reason(tmp_path: Path, content: Any, message: str):
    assert refusal(tmp_path / "tiny.pkl", content).startswith(message)


def test_module_that_contains_itself_is_refused(tmp_path: Path):
    content = changed()
    tree = content["G_ema"]
    tree.state["_modules"].update({f"again{i}": tree.state["_modules"]["synthesis"] for i in range(40)})
    tree.state["_modules"]["synthesis"].state["_modules"]["b4"].state["_modules"].update(
        {f"deep{i}": tree.state["_modules"]["mapping"] for i in range(40)}
    )
    assert "more than 1000 modules in 'G_ema'" in refusal(tmp_path / "tiny.pkl", content)
