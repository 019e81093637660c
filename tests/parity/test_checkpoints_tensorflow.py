"""NVIDIA's TensorFlow pickles: recorded outputs through the file, and clear refusals of what is not supported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nada.checkpoints import inspect, read_any
from nada.errors import CheckpointError
from tests.checkpoint_files import golden_arrays, golden_state
from tests.conftest import tiny_generator
from tests.tensorflow_files import Network, tensorflow_network, write_tensorflow

TOLERANCE = 1e-4  # of the largest value


@torch.no_grad()
@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize(("name", "conv_clamp"), [("nv2_32px", None), ("nv2_64px_clamp", 256)])
def test_images_match_the_reference(tmp_path: Path, name: str, conv_clamp: int | None, protocol: int):
    settings = {"static_kwargs": {"conv_clamp": conv_clamp, "resample_kernel": [1, 3, 3, 1], "mapping_lrmul": 0.01}}
    path = write_tensorflow(tmp_path / "tf.pkl", tensorflow_network(golden_state(name), **settings), protocol)
    generator, recorded = read_any(path), golden_arrays(name)
    img = generator.synthesis(generator.mapping(recorded["z"], 0.7), noise="const")
    assert (img - recorded["img_psi0.7"]).abs().max() < TOLERANCE * recorded["img_psi0.7"].abs().max()
    assert generator.config.conv_clamp == conv_clamp and generator.config.mapping_layers in (2, 8)


def test_every_tensor_comes_back_but_for_the_one_that_styles_add(tmp_path: Path):
    ours = tiny_generator().state_dict()
    path = write_tensorflow(tmp_path / "tf.pkl", tensorflow_network(ours))
    read = read_any(path).state_dict()
    assert read.keys() == ours.keys() and inspect(path).networks == ("G", "D", "Gs")
    for name, tensor in ours.items():
        assert torch.allclose(read[name], tensor, atol=1e-7 if name.endswith("affine.bias") else 0), name


def refusal(tmp_path: Path, generator: Any) -> str:
    path = write_tensorflow(tmp_path / "tf.pkl", generator)
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    return str(err.value).removeprefix(f"{path}: ")


def tiny(**settings: Any) -> Network:
    return tensorflow_network(tiny_generator().state_dict(), **settings)


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (tiny(version=3), "TensorFlow network of version 3; StyleGAN2's have 4"),
        (tiny(static_kwargs={"label_size": 10}), "label_size is 10; only 0, the default, is supported"),
        (tiny(static_kwargs={"architecture": "resnet"}), "architecture is 'resnet'; only 'skip', the default"),
        (tiny(static_kwargs={"resample_kernel": [1, 1]}), "resample_kernel is [1, 1]; only [1, 3, 3, 1], the default"),
        (tiny(static_kwargs={"blur\n": 1}), "TensorFlow network with argument 'blur\\n', which no StyleGAN2 has"),
        (tiny(components={}), "no StyleGAN2 of configuration E or F; only those are supported"),
        (tiny(variables=[]), "1 variables missing (first: 'dlatent_avg'); expected a StyleGAN2"),
        (tiny(variables=[("dlatent_avg", np.zeros((2, 4), np.float32))]), "'dlatent_avg' has shape [2, 4]"),
        (tiny(variables=[("dlatent_avg", np.zeros(8))]), "1 variables missing (first: 'dlatent_avg')"),
        (tiny(variables=[("dlatent_avg", np.array(["x"] * 8))]), "1 variables missing (first: 'dlatent_avg')"),
        (tiny(variables=[("dlatent_avg", np.full(8, np.nan, np.float32))]), "'mapping.w_avg' holds NaN or infinite"),
    ],
)  # fmt: skip
def test_unsupported_networks_are_refused_with_the_reason(tmp_path: Path, generator: Network, message: str):
    assert refusal(tmp_path, generator).startswith(message)


def test_other_names_of_tensorflows_library_are_refused(tmp_path: Path):
    (tmp_path / "tf.pkl").write_bytes(b"\x80\x03cdnnlib.tflib.tfutil\nrun\n)\x81.")
    with pytest.raises(CheckpointError, match=r"asks for 'dnnlib\.tflib\.tfutil\.run', which is no part"):
        read_any(tmp_path / "tf.pkl")
