"""Domains whose styles are moved: they draw what their offsets say, whatever the family, and refuse others' files."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nada.errors import CheckpointError
from nada.generators.registry import Architecture, Network, make_network
from nada.latents import draw_ws, seeded_rng
from nada.methods.moved_styles import load_offsets, offset_domain, save_offsets
from tests.conftest import TINY, TINY3, TINY_MOBILE


@pytest.fixture(params=[TINY, TINY3, TINY_MOBILE], ids=["stylegan2", "stylegan3", "mobile"])
def source(request: pytest.FixtureRequest) -> Network:
    return tiny(request.param)


def tiny(config: Architecture) -> Network:
    torch.manual_seed(0)
    return make_network(config).eval().requires_grad_(False)


def one_offset(source: Network, size: float = 0.5) -> dict[str, torch.Tensor]:
    layer = source.style_layers()[1]
    return {layer.name: torch.linspace(-size, size, layer.num_channels)}


def test_a_domain_draws_the_source_from_its_styles_and_the_offset(source: Network) -> None:
    ws, offsets = draw_ws(2, source, seeded_rng(0)), one_offset(source)
    domain = offset_domain(source, offsets)
    styles = source.synthesis.styles(ws)
    styles |= {name: styles[name] + offset for name, offset in offsets.items()}
    assert torch.equal(domain.synthesis(ws), source.synthesis.from_styles(styles))
    assert not torch.equal(domain.synthesis(ws), source.synthesis(ws))
    assert torch.equal(
        domain.mapping(torch.ones(1, source.z_dim), 0.7), source.mapping(torch.ones(1, source.z_dim), 0.7)
    )


def test_offsets_of_a_domain_on_a_domain_add_up(source: Network) -> None:
    ws = draw_ws(2, source, seeded_rng(0))
    once = offset_domain(source, one_offset(source, 0.25))
    twice = offset_domain(once, one_offset(source, 0.25)).synthesis(ws)
    assert torch.allclose(twice, offset_domain(source, one_offset(source, 0.5)).synthesis(ws), atol=1e-4)


def test_a_file_gives_the_offsets_back_and_holds_no_layer_that_stays(source: Network, tmp_path: Path) -> None:
    offsets, still = one_offset(source), source.style_layers()[0]
    save_offsets(tmp_path / "a", offsets | {still.name: torch.zeros(still.num_channels)})
    found = load_offsets(tmp_path / "a", source)
    assert found.keys() == offsets.keys()
    assert all(torch.equal(found[name], offsets[name]) for name in offsets)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ({"b4.conv7": torch.ones(3)}, r"a: offsets of 'b4.conv7', a style layer that the source does not have$"),
        ({"b4.conv1": torch.ones(3)}, r"a: b4.conv1: offsets torch.float32 \[3\]; the source has styles of float32"),
        ({"b4.conv1": torch.full((TINY.channels(4),), torch.nan)}, r"a: b4.conv1: an offset that is not finite$"),
    ],
)
def test_a_file_of_another_style_space_is_refused(
    offsets: dict[str, torch.Tensor], message: str, tmp_path: Path
) -> None:
    save_file(offsets, tmp_path / "a")
    with pytest.raises(CheckpointError, match=message):
        load_offsets(tmp_path / "a", tiny(TINY))


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x10")
    with pytest.raises(CheckpointError, match=r"a: no style offsets \("):
        load_offsets(tmp_path / "a", tiny(TINY))
