"""An edit from relevances, worked by hand, and the file that they are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nada.errors import CheckpointError, ParamsError
from nada.methods.directions.channels import Channels
from nada.methods.directions.edit import relevance_to, style_offset
from nada.methods.directions.measuring import mean_direction

STD = torch.tensor([1.0, 2.0, 0.5, 4.0])


def channels(relevance: list[list[float]], layers: dict[str, int] | None = None) -> Channels:
    rows = torch.tensor(relevance)
    return Channels(layers or {"a": 1, "b": len(rows) - 1}, torch.zeros(len(rows)), torch.ones(len(rows)), rows)


def test_the_most_relevant_channel_moves_by_alpha_deviations_and_the_others_less() -> None:
    t = torch.tensor([0.4, -0.2, 0.1, 0.0])
    assert style_offset(t, STD, alpha=3.0, beta=0.0).tolist() == pytest.approx([3.0, -3.0, 0.375, 0.0])


def test_channels_below_beta_stay_and_one_at_beta_moves() -> None:
    t = torch.tensor([0.4, -0.2, 0.1, 0.0])
    assert style_offset(t, STD, alpha=3.0, beta=t[1].abs().item()).tolist() == pytest.approx([3.0, -3.0, 0.0, 0.0])


def test_a_negative_alpha_goes_the_other_way() -> None:
    t = torch.tensor([0.4, -0.2, 0.1, 0.0])
    assert torch.equal(style_offset(t, STD, -3.0, 0.15), -style_offset(t, STD, 3.0, 0.15))


@pytest.mark.parametrize(("t", "beta", "largest"), [([0.1, -0.12], 0.15, "0.120"), ([0.0, 0.0], 0.0, "0.000")])
def test_where_nothing_moves_the_largest_relevance_is_told(t: list[float], beta: float, largest: str) -> None:
    with pytest.raises(ParamsError) as caught:
        style_offset(torch.tensor(t), torch.ones(2), 4.0, beta)
    assert str(caught.value) == (
        f"directions.beta is {beta:g}, and no channel is as relevant to this edit: the most relevant has {largest}; "
        "use a smaller beta, or prompts that the guide tells apart in these pictures"
    )


def test_guides_count_by_their_weights() -> None:
    one, two = channels([[1.0, 0.0], [0.6, 0.8]]), channels([[0.0, 1.0], [1.0, 0.0]])
    towards = torch.tensor([1.0, 0.0])
    assert relevance_to([one], [towards], [0.5]).tolist() == pytest.approx([1.0, 0.6])
    assert relevance_to([one, two], [towards, towards], [3.0, 1.0]).tolist() == pytest.approx([0.75, 0.7])


def test_channels_of_two_generators_make_no_edit() -> None:
    several = [channels([[1.0], [0.0]]), channels([[1.0], [0.0]], {"a": 2})]
    with pytest.raises(CheckpointError, match=r"^channels of several style spaces;"):
        relevance_to(several, [torch.ones(1)] * 2, [1.0, 1.0])


def test_a_channel_points_where_its_pictures_go_on_average_whatever_the_lengths() -> None:
    down = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]])  # [K 2, N 2, D 2]
    up = down + torch.tensor([[[0.0, 0.5], [0.3, 0.0]], [[0.0, 0.0], [1e-6, 0.0]]])
    root = 0.5**0.5
    assert mean_direction(down, up)[0].tolist() == pytest.approx([root, root])
    assert mean_direction(down, up)[1].tolist() == [0.0, 0.0]  # rounding is stretched to no direction


def test_a_file_gives_the_channels_back_and_one_that_was_edited_is_refused(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.safetensors", channels([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    kept.save(path)
    found = Channels.load(path)
    assert found.layers == {"a": 1, "b": 2}
    assert torch.equal(found.relevance, kept.relevance)
    assert {name: part.tolist() for name, part in found.split(torch.arange(3)).items()} == {"a": [0], "b": [1, 2]}
    tensors = load_file(path)
    save_file({**tensors, "std": tensors["std"] * 2}, path, {"nada": '{"layers": {"a": 3}, "sha256": "0"}'})
    with pytest.raises(CheckpointError, match=r"a\.safetensors: statistics of channels that are damaged; remove the"):
        Channels.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"a\.safetensors: no statistics of channels \("):
        Channels.load(path)
