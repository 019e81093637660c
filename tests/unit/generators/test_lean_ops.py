from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.generators.lean_ops import lean_leaky_relu, scaled_conv
from nada.generators.stylegan2_ops import modulated_conv

SLOPE, GAIN = 0.2, 1.5


def plain_conv(x: Tensor, styles: Tensor, weight: Tensor, padding: int = 0, double: bool = False) -> Tensor:
    scaled = x * styles[:, :, None, None]
    if double:
        return F.conv_transpose2d(scaled, weight.transpose(0, 1), stride=2)
    return F.conv2d(scaled, weight, padding=padding)


def plain_leaky_relu(x: Tensor, slope: float, gain: float, clamp: float | None = None) -> Tensor:
    x = F.leaky_relu(x, slope) * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def kept_bytes(out_of: Tensor) -> int:
    """Bytes behind everything that the graph of a result keeps, its own inputs aside."""
    kept, nodes, seen = {}, [out_of.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        saved = [getattr(node, name) for name in dir(node) if name.startswith("_saved") or name == "saved_tensors"]
        for tensor in [item for one in saved for item in (one if isinstance(one, tuple) else [one])]:
            if isinstance(tensor, Tensor):
                kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        nodes += [following for following, _ in node.next_functions]
    return sum(kept.values())


@pytest.mark.parametrize(
    "needed", [(True, False, False), (False, True, False), (False, False, True), (True, True, True)]
)
@pytest.mark.parametrize(("kernel", "options"), [(3, {"padding": 1}), (1, {}), (3, {"double": True})])
def test_a_scaled_convolution_has_the_bits_of_the_plain_one(
    needed: tuple[bool, bool, bool], kernel: int, options: dict[str, int]
) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(2, 6, 9, 9), torch.randn(2, 6), torch.randn(5, 6, kernel, kernel)]
    found = []
    for conv in (plain_conv, scaled_conv):
        x, styles, weight = (i.clone().requires_grad_(need) for i, need in zip(inputs, needed, strict=True))
        out = conv(x, styles, weight, **options)  # type: ignore[arg-type]
        out.square().sum().backward()
        found.append([out, *(i.grad for i in (x, styles, weight) if i.grad is not None)])
    assert len(found[0]) == 1 + sum(needed)
    assert all(torch.equal(plain, lean) for plain, lean in zip(*found, strict=True))


@pytest.mark.parametrize("clamp", [None, 1.0])
def test_a_leaky_relu_has_the_bits_of_the_plain_one(clamp: float | None) -> None:
    torch.manual_seed(0)
    found = []
    for activation in (plain_leaky_relu, lean_leaky_relu):
        x = torch.cat([torch.tensor([0.0, -0.0, 1e-45, -1e-45, float("nan")]), torch.linspace(-9, 9, 100)])
        x.requires_grad_()
        out = activation(x, SLOPE, GAIN, clamp)
        (out * torch.arange(105)).sum().backward()
        found.append((out, x.grad))
    for plain, lean in zip(*found, strict=True):
        assert plain is not None and lean is not None
        assert torch.equal(plain.nan_to_num(7), lean.nan_to_num(7))


def test_a_layer_keeps_its_input_the_convolutions_output_and_its_own_output() -> None:
    x, styles, weight = torch.randn(1, 8, 64, 64), torch.randn(1, 8), torch.randn(8, 8, 3, 3)
    out = lean_leaky_relu(
        modulated_conv(x.requires_grad_(), weight.requires_grad_(), styles.requires_grad_(), None, True), SLOPE, GAIN
    )
    small = weight.numel() * 4 * 4
    assert 3 * x.numel() * 4 <= kept_bytes(out) <= 3 * x.numel() * 4 + small
