"""rosinality's layout: recorded outputs, and the table of names in both directions."""

from __future__ import annotations

import argparse
import zipfile
from pathlib import Path

import pytest
import torch

from nada.checkpoints import load_generator, read_any, save_generator
from nada.checkpoints.rosinality import name_table
from nada.errors import CheckpointError
from nada.generators.stylegan2 import StyleGAN2
from tests.checkpoint_files import golden_arrays, golden_state, rosinality_state
from tests.conftest import tiny_generator

TOLERANCE = 1e-4  # of the largest value


@pytest.fixture(scope="module")
def golden_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rosinality") / "golden.pt"
    latent_avg = golden_arrays("rosinality_16px")["latent_avg"]
    torch.save({"g_ema": golden_state("rosinality_16px"), "latent_avg": latent_avg}, path)
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[StyleGAN2, Path]:
    generator = tiny_generator()
    generator.mapping.w_avg.normal_()
    path = tmp_path / "tiny.pt"
    state = rosinality_state(generator)
    torch.save({"latent_avg": state.pop("latent_avg"), "g_ema": state}, path)
    return generator, path


def largest_difference(ours: torch.Tensor, recorded: torch.Tensor) -> float:
    return ((ours - recorded).abs().max() / recorded.abs().max()).item()


@torch.no_grad()
@pytest.mark.parametrize("psi", [1.0, 0.7])
def test_images_match_the_reference(golden_file: Path, psi: float):
    generator, recorded = read_any(golden_file), golden_arrays("rosinality_16px")
    ws = generator.mapping(recorded["z"], psi)
    assert largest_difference(generator.synthesis(ws, noise="const"), recorded[f"img_psi{psi}"]) < TOLERANCE
    assert largest_difference(generator.mapping.to_w(recorded["z"]), recorded["w"]) < TOLERANCE


def test_architecture_follows_from_the_shapes(golden_file: Path):
    config = read_any(golden_file).config
    assert (config.resolution, config.z_dim, config.w_dim, config.mapping_layers) == (16, 32, 32, 2)
    assert [config.channels(r) for r in (4, 8, 16)] == [512] * 3 and config.conv_clamp is None


@pytest.mark.parametrize("new_format", [True, False])
def test_both_directions_of_the_table_are_exact(tiny: tuple[StyleGAN2, Path], new_format: bool):
    generator, path = tiny
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=new_format)
    ours, read = generator.state_dict(), read_any(path).state_dict()
    assert ours.keys() == read.keys()
    assert all(torch.equal(ours[name], read[name]) for name in ours)


def test_table_names_every_tensor_of_the_reference_once():
    table = name_table(16, 2)
    theirs = [pair.theirs for pair in table]
    assert len(set(theirs)) == len(theirs) and len({pair.ours for pair in table}) == len(table)
    assert set(theirs) == {*golden_state("rosinality_16px"), "latent_avg"}


def test_result_saves_in_the_canonical_format(tiny: tuple[StyleGAN2, Path], tmp_path: Path):
    generator = read_any(tiny[1])
    save_generator(tmp_path / "canonical.safetensors", generator)
    again = load_generator(tmp_path / "canonical.safetensors").state_dict()
    assert all(torch.equal(tensor, again[name]) for name, tensor in generator.state_dict().items())


def test_mean_w_that_the_file_lacks_is_measured_and_repeatable(tiny: tuple[StyleGAN2, Path], tmp_path: Path):
    generator, path = tiny
    torch.save({"g_ema": torch.load(path, weights_only=True)["g_ema"], "g_optim": {"state": {}}}, path)
    measured = read_any(path).mapping.w_avg
    mean = generator.mapping.to_w(torch.randn(100_000, generator.z_dim)).mean(dim=0)
    assert torch.allclose(measured, mean, atol=0.05) and measured.abs().max() > 0.1
    assert torch.equal(measured, read_any(path).mapping.w_avg)


def test_training_snapshot_with_its_command_line_is_read(tiny: tuple[StyleGAN2, Path]):
    content = torch.load(tiny[1], weights_only=True)
    torch.save({**content, "g": content["g_ema"], "args": argparse.Namespace(size=16), "ada_aug_p": 0.1}, tiny[1])
    assert read_any(tiny[1]).resolution == 16


def refusal(path: Path, content: object) -> str:
    torch.save(content, path)
    with pytest.raises(CheckpointError) as err:
        read_any(path)
    assert str(err.value).startswith(f"{path}: ")
    return str(err.value).removeprefix(f"{path}: ")


def test_file_without_averaged_generator_lists_what_it_has(tiny: tuple[StyleGAN2, Path]):
    message = refusal(tiny[1], {"model": {}, "epoch": 3})
    assert message == "no 'g_ema' in the file (found 'model', 'epoch'); expected rosinality's StyleGAN2"
    assert refusal(tiny[1], [1]) == "holds a list; expected a dict with 'g_ema'"


def test_missing_unknown_and_misshapen_tensors_are_named(tiny: tuple[StyleGAN2, Path]):
    state = torch.load(tiny[1], weights_only=True)["g_ema"]
    without = {name: tensor for name, tensor in state.items() if name != "conv1.noise.weight"}
    assert refusal(tiny[1], {"g_ema": without}).startswith(
        "1 keys missing (first: 'conv1.noise.weight'); expected a 16 px StyleGAN2 generator of rosinality's"
    )
    assert refusal(tiny[1], {"g_ema": {**state, "embed.weight": torch.zeros(3)}}).startswith(
        "1 keys unknown (first: 'embed.weight')"
    )
    bent = {**state, "to_rgb1.bias": torch.zeros(1, 4, 1, 1)}
    assert refusal(tiny[1], {"g_ema": bent}) == "'synthesis.b4.torgb.bias' has shape [4]; expected [3]"
    broken = {**state, "to_rgb1.bias": torch.full((1, 3, 1, 1), torch.nan)}
    assert "'synthesis.b4.torgb.bias' holds NaN or infinite values" in refusal(tiny[1], {"g_ema": broken})


def test_channels_that_follow_no_rule_are_listed(tiny: tuple[StyleGAN2, Path]):
    state = torch.load(tiny[1], weights_only=True)["g_ema"]
    widened = {**state, "convs.3.conv.weight": torch.zeros(1, 99, 8, 3, 3)}
    assert "unusual channels (16 at 4 px, 16 at 8 px, 99 at 16 px)" in refusal(tiny[1], {"g_ema": widened})


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tiny: tuple[StyleGAN2, Path]):
    state = torch.load(tiny[1], weights_only=True)["g_ema"]
    huge = {**state, "style.1.weight": torch.zeros(1).expand(100_000, 100_000)}
    assert refusal(tiny[1], {"g_ema": huge}).startswith("a tensor of shape [100000, 100000] in a storage of 1 numbers")
    shared = torch.zeros(1 << 16)
    many = {**state, **{f"extra{i}": shared for i in range(100)}}
    assert "its tensors claim 26" in refusal(tiny[1], {"g_ema": many})


@pytest.mark.parametrize(
    ("strange", "message"),
    [
        (torch.zeros(8, dtype=torch.int64), "'style.1.bias' is no plain tensor of floats (torch.int64 on cpu)"),
        (torch.zeros(8, device="meta"), "the pickle asks for 'torch._utils._rebuild_meta_tensor_no_storage'"),
        (torch.zeros(8).to_sparse(), "the pickle asks for 'torch._utils._rebuild_sparse_tensor'"),
    ],
)
def test_tensors_that_are_no_plain_floats_are_refused(
    tiny: tuple[StyleGAN2, Path], strange: torch.Tensor, message: str
):
    state = torch.load(tiny[1], weights_only=True)["g_ema"]
    assert message in refusal(tiny[1], {"g_ema": {**state, "style.1.bias": strange}})


def test_unusual_filter_is_refused(tiny: tuple[StyleGAN2, Path]):
    state = torch.load(tiny[1], weights_only=True)["g_ema"]
    sharp = {**state, "convs.0.conv.blur.kernel": torch.eye(4)}
    assert "'synthesis.b8.conv0.resample_filter' is not the low-pass filter that its architecture has" in refusal(
        tiny[1], {"g_ema": sharp}
    )


def test_compressed_members_are_refused_before_unpacking(tiny: tuple[StyleGAN2, Path]):
    with zipfile.ZipFile(tiny[1], "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 20))
    with pytest.raises(CheckpointError, match=r"compressed member 'archive/data.pkl'; torch writes none"):
        read_any(tiny[1])
