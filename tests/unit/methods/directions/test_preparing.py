"""Statistics of channels: what they say, that a killed process loses one piece, and that two share the work."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.guide import Guide
from nada.errors import ParamsError
from nada.generators.registry import Network
from nada.latents import draw_z, seeded_rng
from nada.methods.base import Place
from nada.methods.directions import preparing
from nada.methods.directions.channels import Channels
from nada.methods.directions.config import ChannelsConfig, DirectionsConfig
from nada.methods.directions.measuring import LATENTS_SEED, Measuring, mean_direction, measure_channels
from nada.methods.directions.method import Directions
from nada.methods.directions.preparing import Preparation
from tests.conftest import tiny_generator, tiny_mobilestylegan, tiny_stylegan3

CONFIG = ChannelsConfig(num_samples=300, num_images=2, sigmas=2.0, max_resolution=16)


class Colours:
    """A CLIP that sees how red, green and blue a picture is, and counts."""

    def __init__(self) -> None:
        self.seen = 0

    def embed_images(self, img: Tensor) -> Tensor:
        self.seen += len(img)
        return F.normalize(img.mean(dim=(2, 3)) + 1, dim=1)


@pytest.fixture(params=[tiny_generator, tiny_stylegan3, tiny_mobilestylegan], ids=["stylegan2", "stylegan3", "mobile"])
def generator(request: pytest.FixtureRequest) -> Network:
    made: Network = request.param()
    return made


def measuring(generator: Network, *clips: Colours, config: ChannelsConfig = CONFIG) -> Measuring:
    seen: Any = clips or [Colours()]
    return Measuring(generator, seen, config)


def test_mean_and_deviation_are_those_of_the_styles_of_many_latents(generator: Network) -> None:
    z = draw_z(300, generator, seeded_rng(LATENTS_SEED))
    styles = generator.synthesis.styles(generator.mapping(z, 0.7))
    means, stds = measuring(generator).statistics
    assert means.keys() == {layer.name for layer in generator.style_layers() if not layer.is_rgb}
    for name, mean in means.items():
        assert torch.allclose(mean, styles[name].mean(dim=0), atol=1e-5)
        assert torch.allclose(stds[name], styles[name].std(dim=0, correction=0), atol=1e-5)


def test_a_channel_is_set_far_down_and_far_up_and_nothing_else_is_changed(generator: Network) -> None:
    found = measuring(generator)
    layer, channel, clip = list(found.layers)[-1], 1, Colours()
    z = draw_z(2, generator, seeded_rng(LATENTS_SEED + 1))
    styles = generator.synthesis.styles(generator.mapping(z, 0.7))
    embs = []
    for sign in (-1, 1):
        moved = styles[layer].clone()
        moved[:, channel] = found.statistics[0][layer][channel] + sign * 2.0 * found.statistics[1][layer][channel]
        embs.append(clip.embed_images(generator.synthesis.from_styles({**styles, layer: moved}))[None])
    (rows,) = found.relevance(layer, range(channel, channel + 2))
    assert rows.shape == (2, 3)
    assert torch.allclose(rows[:1], mean_direction(*embs), atol=1e-4)
    assert rows[0].norm().item() == pytest.approx(1)


def test_colours_may_move_where_the_settings_say_so() -> None:
    with_rgb = measuring(tiny_generator(), config=CONFIG.model_copy(update={"layers": "convs+rgb"}))
    assert set(with_rgb.layers) - set(measuring(tiny_generator()).layers) == {"b4.torgb", "b8.torgb", "b16.torgb"}


def test_settings_by_which_no_layer_could_move_are_refused() -> None:
    coarse = CONFIG.model_copy(update={"max_resolution": 8})
    assert measuring(tiny_generator(), config=coarse).layers.keys() == {"b4.conv1", "b8.conv0", "b8.conv1"}
    with pytest.raises(ParamsError) as caught:
        Directions().check(DirectionsConfig(channels=coarse), tiny_stylegan3())
    assert str(caught.value) == (
        "directions.channels.max_resolution is 8, and the coarsest style layer of this generator has 16 px; give that "
        "or more"
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(preparing, "PIECE_PICTURES", 40)
    monkeypatch.setattr(preparing, "WAIT_SECONDS", 0.01)
    yield


def test_all_at_once_is_what_the_pieces_say(tiny_guide: Guide, tmp_path: Path) -> None:
    clip = tiny_guide.models[0]
    (place,) = places(tmp_path, "a")
    for _ in Preparation(Measuring(tiny_generator(), [clip], CONFIG), [place]).run():
        pass
    (at_once,), kept = measure_channels(tiny_generator(), tiny_guide, CONFIG), Channels.load(place.path)
    assert torch.allclose(at_once.relevance, kept.relevance, atol=1e-4)
    assert (at_once.layers, at_once.std.tolist()) == (kept.layers, kept.std.tolist())


def places(folder: Path, *names: str) -> list[Place]:
    return [Place(folder / f"{name}.safetensors", folder / "parts" / "prepared" / name) for name in names]


@pytest.mark.usefixtures("small_pieces")
def test_a_preparation_that_broke_off_goes_on_after_its_last_piece_to_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = places(tmp_path, "whole", "broken")
    for _ in Preparation(measuring(tiny_generator()), [whole]).run():
        pass
    started = iter(Preparation(measuring(tiny_generator()), [broken]).run())
    first = next(news.done for news in started if news.done > 40)
    assert not broken.path.exists()
    clip = Colours()
    *_, last = Preparation(measuring(tiny_generator(), clip), [broken]).run()
    assert (last.done, clip.seen) == (last.total, last.total - first)
    assert broken.path.read_bytes() == whole.path.read_bytes()
    assert not (tmp_path / "parts").exists()


@pytest.mark.usefixtures("small_pieces")
def test_a_piece_that_another_process_computes_is_left_to_it(tmp_path: Path) -> None:
    (place,) = places(tmp_path, "a")
    clip = Colours()
    preparation = Preparation(measuring(tiny_generator(), clip), [place])
    taken = preparation.pieces[1]
    place.parts.mkdir(parents=True)
    with (place.parts / f"{taken.name}.lock").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        steps = iter(preparation.run())
        for news in steps:
            if news.done == news.total:
                break
        assert {path.name for path in place.parts.glob("*.safetensors")} == {
            piece.name for piece in preparation.pieces if piece != taken
        }
    for _ in steps:  # the other one ended without it
        pass
    assert clip.seen == preparation.total
    assert Channels.load(place.path).relevance.shape == (sum(preparation.measuring.layers.values()), 3)


@pytest.mark.usefixtures("small_pieces")
def test_a_damaged_file_is_computed_again_and_a_whole_one_of_another_guide_stays(tmp_path: Path) -> None:
    one, two = places(tmp_path, "one", "two")
    for _ in Preparation(measuring(tiny_generator(), Colours(), Colours()), [one, two]).run():
        pass
    assert one.path.read_bytes() == two.path.read_bytes()
    two.path.write_bytes(b"cut")
    assert (preparing.is_whole(one), preparing.is_whole(two)) == (True, False)
    for _ in Preparation(measuring(tiny_generator()), [two]).run():
        pass
    assert one.path.read_bytes() == two.path.read_bytes()


@pytest.mark.usefixtures("small_pieces")
def test_what_another_process_has_just_finished_is_not_thrown_away(tmp_path: Path) -> None:
    whole, place = places(tmp_path, "whole", "place")
    for _ in Preparation(measuring(tiny_generator()), [whole]).run():
        pass
    clip = Colours()
    late = Preparation(measuring(tiny_generator(), clip), [place])  # nothing is there, it finds
    place.path.write_bytes(whole.path.read_bytes())
    assert list(late.run()) == []
    assert clip.seen == 0
    assert place.path.read_bytes() == whole.path.read_bytes()
