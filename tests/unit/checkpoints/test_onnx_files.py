"""Domains as ONNX: onnxruntime draws what nada draws, whatever the family and whatever a method left."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from nada.checkpoints.onnx import recording
from nada.checkpoints.onnx.export import Drawing, save_onnx
from nada.checkpoints.onnx.operators import OPSET
from nada.errors import CheckpointError
from nada.generators.domain import Domain
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import StyleMoves
from nada.latents import draw_z, seeded_rng
from nada.methods.edited_domain import EditedDomain, MovedLatents
from nada.methods.mapper.network import LatentMapper
from nada.methods.moved_styles import offset_domain
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

MOST = 1e-4  # of [-1, 1]; measured: 1.5e-6, 1.2e-5 and 2.1e-7 for the three families


def light() -> Domain:
    base = tiny_generator()
    layer = base.style_layers()[2]
    moved = {layer.name: torch.linspace(0.5, 1.5, layer.num_channels)}
    return LightGenerator(base, StyleMoves().with_("multiplier", moved))


def mapped() -> Domain:
    base = tiny_generator()
    torch.manual_seed(1)
    mapper = LatentMapper(base.w_dim, base.num_ws, ["coarse", "medium"], 0.1)
    for parameter in mapper.parameters():
        nn.init.normal_(parameter)
    return EditedDomain(base, MovedLatents(base, mapper.eval().requires_grad_(False)))


def offset() -> Domain:
    base = tiny_stylegan3()
    layer = base.style_layers()[1]
    return offset_domain(base, {layer.name: torch.full((layer.num_channels,), 0.7)})


DOMAINS: dict[str, Callable[[], Domain]] = {
    "stylegan2": tiny_generator, "mobilestylegan": tiny_mobilestylegan, "stylegan3": tiny_stylegan3,
    "kilobyte": light, "mapper": mapped, "directions": offset,
}  # fmt: skip


@pytest.mark.parametrize("kind", DOMAINS)
def test_onnxruntime_draws_what_the_domain_draws(kind: str, tmp_path: Path) -> None:
    domain = DOMAINS[kind]()
    written = save_onnx(tmp_path / "a.onnx", domain, {"domain": kind})
    model = onnx.load(written.path)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [OPSET] == [written.opset]
    assert {prop.key: prop.value for prop in model.metadata_props}["domain"] == kind
    session = onnxruntime.InferenceSession(written.path)
    for num, psi in ((1, 1.0), (5, 0.4)):
        z = draw_z(num, domain, seeded_rng(num))
        (img,) = session.run(None, {"z": z.numpy(), "truncation_psi": np.array(psi, np.float32)})
        expected = domain.synthesis(domain.mapping(z, psi), "const").detach()
        print(kind, np.abs(img - expected.numpy()).max())
        assert img.shape == (num, 3, 16, 16)
        assert np.abs(img - expected.numpy()).max() <= MOST
        assert expected.std() > 0.01
    assert written.image_difference <= MOST


def test_the_same_domain_is_the_same_bytes_and_noise_takes_no_more_than_its_maps(tmp_path: Path) -> None:
    for name in ("a.onnx", "b.onnx"):
        save_onnx(tmp_path / name, tiny_mobilestylegan(), {})
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    assert str(Path.cwd()).encode() not in content
    assert len(content) < 30_000  # 34 kB if noise maps were multiplied by channels


def test_what_onnx_does_not_know_is_refused_by_name_and_nothing_is_written(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, ws: Tensor) -> Tensor:
            return torch.cumsum(ws, 1)

    base = tiny_generator()
    with pytest.raises(CheckpointError, match=r"a.onnx: its pictures take the operation 'cumsum'"):
        save_onnx(tmp_path / "a.onnx", EditedDomain(base, MovedLatents(base, Odd())), {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("shift", "said"), [(float("nan"), "nan"), (10.0, r"\d\S+")])
def test_a_file_that_draws_something_else_is_never_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: float, said: str
) -> None:
    def record(drawing: Drawing, *sizes: int) -> onnx.GraphProto:
        graph = truly(drawing, *sizes)
        drawing.mean += shift  # so that PyTorch draws something else than was recorded
        return graph

    (tmp_path / "a.onnx").write_bytes(b"earlier")
    truly = recording.record
    monkeypatch.setattr(recording, "record", record)
    with pytest.raises(CheckpointError, match=rf"a.onnx: onnxruntime's pictures would be {said} off PyTorch's"):
        save_onnx(tmp_path / "a.onnx", tiny_generator(), {})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"earlier"]


def test_without_the_extra_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CheckpointError, match=r"not installed \(onnxruntime\): pip install 'nada\[onnx\]'"):
        save_onnx(tmp_path / "a.onnx", tiny_generator(), {})


def test_the_mean_of_the_drawing_is_the_mean_w() -> None:
    domain = tiny_generator()
    assert torch.equal(Drawing(domain).mean[0, 0], domain.mapping.w_avg)
