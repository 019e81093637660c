from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nada.errors import ShapeError
from nada.generators.mobilestylegan.network import MobileStyleGANConfig
from nada.generators.protocol import Styles
from nada.generators.registry import Architecture, Network, make_network
from nada.generators.stylegan2 import StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3Config
from nada.latents import draw_ws, seeded_rng
from tests.conftest import TINY, TINY3, TINY_MOBILE

TINY_R = TINY3.model_copy(update={"conv_kernel": 1, "use_radial_filters": True})


@pytest.fixture(params=[TINY, TINY3, TINY_R, TINY_MOBILE], ids=["stylegan2", "stylegan3-t", "stylegan3-r", "mobile"])
def generator(request: pytest.FixtureRequest) -> Network:
    return random_network(request.param)


def random_network(config: Architecture) -> Network:
    """All of its weights drawn, those too that start at zero, so that nothing is without effect."""
    torch.manual_seed(0)
    network = make_network(config)
    for name, parameter in network.named_parameters():
        if name.endswith(("noise_strength", "bias")) or "input.affine" in name:
            parameter.data.add_(torch.randn_like(parameter), alpha=0.3)
    return network.eval().requires_grad_(False)


def kept_bytes(network: Network, styles: Styles) -> int:
    """Of everything that the graph of a picture keeps, its weights aside."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        img = network.synthesis.from_styles(styles)
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    assert img.requires_grad
    return sum(num_bytes for place, num_bytes in kept.items() if place not in weights)


@pytest.mark.parametrize(
    ("config", "convs", "with_rgb"),
    [
        (StyleGAN2Config(resolution=1024), 6048, 9088),
        (StyleGAN3Config(resolution=256, channel_base=16384), 5178, 5242),
        (StyleGAN3Config(resolution=1024, channel_base=65536, channel_max=1024), 9826, 9890),
    ],
)
def test_the_published_generators_have_their_style_channels(config: Architecture, convs: int, with_rgb: int) -> None:
    layers = config.style_layers()
    assert sum(layer.num_channels for layer in layers if not layer.is_rgb) == convs
    assert sum(layer.num_channels for layer in layers) == with_rgb


def test_styleclip_edits_5376_channels_up_to_128_px() -> None:
    layers = StyleGAN2Config(resolution=1024).style_layers()
    assert sum(layer.num_channels for layer in layers if layer.resolution <= 128 and not layer.is_rgb) == 5376


def test_a_stylegan3_layer_has_the_resolution_of_its_output_without_margins() -> None:
    layers = StyleGAN3Config(resolution=256, channel_base=16384).style_layers()
    by_name = {layer.name: layer.resolution for layer in layers}
    assert [by_name[name] for name in ("L0_36_512", "L7_148_362", "L12_276_64", "L14_256_3")] == [16, 128, 256, 256]


def test_layers_are_listed_in_the_order_in_which_they_run(generator: Network) -> None:
    ran: list[str] = []
    names = {module: name for name, module in generator.synthesis.named_modules()}
    layers = [layer.name for layer in generator.style_layers()]

    def note(module: nn.Module, *_: object) -> None:
        ran.append(names[module])

    for name in layers:
        generator.synthesis.get_submodule(name).register_forward_hook(note)
    styles = generator.synthesis.styles(draw_ws(1, generator, seeded_rng(0)))
    generator.synthesis.from_styles(styles)
    assert ran == layers
    assert [name for name in styles if name in layers] == layers


def test_each_layer_reads_its_own_row_and_has_its_number_of_channels(generator: Network) -> None:
    ws = draw_ws(2, generator, seeded_rng(0)).clone().requires_grad_()
    for layer in generator.style_layers():
        s = generator.synthesis.styles(ws)[layer.name]
        assert s.shape == (2, layer.num_channels)
        (gradient,) = torch.autograd.grad(s.sum(), ws)
        assert gradient.abs().sum(dim=(0, 2)).nonzero().flatten().tolist() == [layer.ws_index]


def test_styles_are_without_the_gain_of_rgb(generator: Network) -> None:
    ws = draw_ws(2, generator, seeded_rng(0))
    styles = generator.synthesis.styles(ws)
    for layer in generator.style_layers():
        affine = generator.synthesis.get_submodule(f"{layer.name}.affine")
        assert torch.equal(styles[layer.name], affine(ws[:, layer.ws_index]))


def test_pictures_and_gradients_from_styles_have_the_bits_of_those_from_ws(generator: Network) -> None:
    noise = generator.draw_noise(2, seeded_rng(1))
    found = []
    for from_styles in (False, True):
        ws = draw_ws(2, generator, seeded_rng(0)).clone().requires_grad_()
        synthesis = generator.synthesis
        img = synthesis.from_styles(synthesis.styles(ws), noise) if from_styles else synthesis(ws, noise)
        img.square().mean().backward()
        found.append((img, ws.grad))
    for direct, in_two_steps in zip(*found, strict=True):
        assert direct is not None and in_two_steps is not None
        assert torch.equal(direct, in_two_steps)


def test_a_style_of_zero_takes_the_channel_out_of_the_layer(generator: Network) -> None:
    styles = generator.synthesis.styles(draw_ws(2, generator, seeded_rng(0)))
    before = generator.synthesis.from_styles(styles)
    for layer in generator.style_layers():
        without = {name: s.clone() for name, s in styles.items()}
        without[layer.name][:, 0] = 0
        img = generator.synthesis.from_styles(without)
        weight = generator.synthesis.get_submodule(layer.name).get_parameter("weight")
        column = weight[:, 0].clone()
        weight[:, 0] = 0
        expected = generator.synthesis.from_styles(styles)
        weight[:, 0] = column
        assert torch.allclose(img, expected, rtol=0, atol=1e-5)
        assert (img - before).abs().max() > 1e-4


def test_the_style_of_the_input_turns_the_picture_of_r() -> None:
    generator = random_network(TINY_R)
    styles = generator.synthesis.styles(draw_ws(2, generator, seeded_rng(0)))
    upright, turned = (
        generator.synthesis.from_styles(styles | {"input": torch.tensor([motion, motion])})
        for motion in ([1.0, 0.0, 0.0, 0.0], [0.0, -3.0, 0.0, 0.0])  # of which only the direction counts
    )
    assert torch.allclose(turned, upright.rot90(-1, (2, 3)), rtol=0, atol=1e-5)


def test_a_graph_from_styles_keeps_no_more_than_one_from_ws(generator: Network) -> None:
    ws = draw_ws(2, generator, seeded_rng(0)).clone().requires_grad_()
    styles = generator.synthesis.styles(ws)
    leaves = {name: s.detach().requires_grad_() for name, s in styles.items()}
    assert 0 < kept_bytes(generator, leaves) <= kept_bytes(generator, styles)


def test_a_mobilestylegans_graph_keeps_what_its_architecture_says() -> None:
    config = MobileStyleGANConfig(z_dim=8, w_dim=8, resolution=64, channel_max=64, mapping_layers=1)
    network = random_network(config)
    styles = network.synthesis.styles(draw_ws(1, network, seeded_rng(0)))
    kept = kept_bytes(network, {name: s.requires_grad_() for name, s in styles.items()})
    assert kept == pytest.approx(config.graph_bytes(), rel=0.03)


def test_styles_of_another_generator_are_refused(generator: Network) -> None:
    styles = generator.synthesis.styles(draw_ws(2, generator, seeded_rng(0)))
    last = generator.style_layers()[-1]
    hint = "; expected those that synthesis.styles\\(ws\\) gives"
    for wrong, message in (
        ({name: s for name, s in styles.items() if name != last.name}, f"styles: '{last.name}' is missing{hint}"),
        (styles | {"b2.conv0": torch.zeros(2, 8)}, f"styles: 'b2.conv0' drives nothing{hint}"),
        (styles | {last.name: torch.zeros(2, 99)}, rf"styles: {last.name}: expected \[2, \d+\], got \[2, 99\]"),
        (
            styles | {last.name: styles[last.name][:1]},
            rf"styles: {last.name}: expected \[2, \d+\], got \[1, {last.num_channels}\]",
        ),
    ):
        with pytest.raises(ShapeError, match=message):
            generator.synthesis.from_styles(wrong)
