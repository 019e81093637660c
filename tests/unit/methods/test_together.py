"""Light rows that ride in one batch: each is what it would be alone, whoever rides along and whatever befalls them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig, SamplesConfig, ViewsConfig
from nada.errors import NonFiniteLossError, OutOfMemoryError, StateError
from nada.generators.light.moves import StyleMoves
from nada.generators.protocol import Noise, Styles
from nada.generators.registry import Network
from nada.generators.stylegan2 import SynthesisNetwork
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.early_stopping import EarlyStopping
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.making import AdaptPass
from nada.methods.adapt.method import Adapt
from nada.methods.adapt.objective.source_embeddings import SourceEmbeddings
from nada.methods.adapt.parametrisation import begin_target
from nada.methods.adapt.together.batch import detached, side_by_side
from nada.methods.adapt.together.ride import Ride, Seat
from nada.methods.base import Assignment, RowError, Step
from nada.methods.models import Clips, Models
from nada.micro_batch import MicroBatch
from tests.unit.generators.test_light import of_each_family

APART = 1e-5
"""Of the largest gradient of a row: how far riding along may move any. The last bits of float32, added up."""
APART_BFLOAT16 = 1e-2
"""The same where pictures are rounded to eight bits on the way: a last bit of a sum may tip the rounding over."""
LIGHT: dict[str, Any] = {"batch_size": 2, "learning_rate": 0.02, "parameters": "modulation"}
ROWS: dict[str, dict[str, Any]] = {
    "sketch": {"iterations": 4, "ema": 0.5},
    "neon": {"iterations": 4, "learning_rate": 0.05, "decay": "cosine", "global_weight": 0.5},
    "robot": {"iterations": 4, "sparsity": 0.5, "in_domain_angle_weight": 1.0},
    "broken": {"iterations": 4, "global_weight": 1e39},  # the loss overflows at the first step
    "wild": {"iterations": 4, "learning_rate": 1.0, "parameters": "style-offset"},  # made NaN on the way
    "brief": {"iterations": 2},
    "judged": {"iterations": 4, "stop": "auto", "probe_every": 1, "probe_images": 4, "checkpoints": 1},
    "elastic": {"iterations": 4, "elastic_weight": 1.0, "selection": {"k": 2, "batch_size": 3}},
}


# The batch.


def test_pictures_bear_the_numbers_of_their_own_domain_and_neutral_ones_where_it_has_none() -> None:
    first = StyleMoves({"a": torch.tensor([2.0, 3.0])}, {"b": torch.tensor([1.0])})
    second = StyleMoves({"a": torch.tensor([4.0, 5.0]), "c": torch.tensor([6.0])}, {})
    moves = side_by_side([first, second], each=2)
    multiplier = {name: values.tolist() for name, values in moves.multiplier.items()}
    assert multiplier == {"a": [[2, 3], [2, 3], [4, 5], [4, 5]], "c": [[1], [1], [6], [6]]}
    assert {name: values.tolist() for name, values in moves.offset.items()} == {"b": [[1], [1], [0], [0]]}


def riders(guide: Guide, source: Network, configs: Sequence[Mapping[str, Any]]) -> list[Adaptation]:
    """Light adaptations that have begun to differ."""
    found = []
    for index, options in enumerate(configs):
        config = AdaptConfig.model_validate({**LIGHT, "iterations": 4, **options})
        goal = PromptPair("photo", ("sketch", "neon lights", "robot")[index])
        found.append(Adaptation(source, begin_target(source, config), guide, goal, config, 0, known=SourceEmbeddings()))
        with torch.no_grad():
            for number in found[-1].parameters.learnable:
                number.add_(0.1 * torch.randn(number.shape, generator=torch.Generator().manual_seed(index)))
    return found


def gradients(rider: Adaptation) -> Tensor:
    found = [number.grad for number in rider.parameters.learnable]
    return torch.cat([grad for grad in found if grad is not None])


MIXTURES: list[list[dict[str, Any]]] = [
    [{}, {"parameters": "style-offset"}, {"train": "convs+rgb"}],
    [{"patch_directional_weight": 0.5, "in_domain_angle_weight": 2.0, "batch_size": 3, "style_mixing": 0.5}] * 3,
    [{"sparsity": 0.5}, {"global_weight": 1.0}, {"feature_weight": 1.0, "selection": {"k": 2, "batch_size": 3}}],
    [{"latent_bank": 4, "selection": {"k": 2, "latents": "batch"}, "precision": "bfloat16"}] * 3,
]


@of_each_family
@pytest.mark.parametrize("configs", MIXTURES)
def test_a_step_together_has_the_losses_and_gradients_of_each_row_alone(
    tiny_guide: Guide, make: Callable[[], Network], configs: list[dict[str, Any]]
) -> None:
    guide, source = Guide(tiny_guide.models, tiny_guide.weights, ViewsConfig(crop=0.2, flip=True, noise=0.05)), make()
    alone, together = riders(guide, source, configs), riders(guide, source, configs)
    expected = [
        one.micro_batch.backward("alone", one.begin_step(), one.losses, one.optimizer)["loss"].item() for one in alone
    ]
    ride = Ride(dict(enumerate(together)), [4, 4, 4], MicroBatch(64))
    news, most = ride.step(), APART if "precision" not in configs[0] else APART_BFLOAT16
    assert [float(news[seat].loss) for seat in range(3)] == pytest.approx(expected, abs=most)  # type: ignore[union-attr]
    for one, other in zip(alone, together, strict=True):
        apart = (gradients(one) - gradients(other)).abs().max()
        assert apart <= most * gradients(one).abs().max() > 0
    assert all(weight.grad is None for weight in source.parameters())


def test_a_filled_seat_takes_no_gradient(tiny_guide: Guide) -> None:
    moves = StyleMoves({"a": torch.ones(2, requires_grad=True)}, {})
    assert not detached(moves).multiplier["a"].requires_grad


# A pass.


@pytest.fixture(scope="module")
def models(tiny_world: Path) -> Models:
    weights = {name: str(tiny_world / f"{name}.safetensors") for name in ("tiny-guide", "tiny-judge")}
    clip = GuideClipConfig(name="tiny-guide", weights=weights["tiny-guide"])
    judge = JudgeConfig(model=ClipConfig(name="tiny-judge", weights=weights["tiny-judge"]), batch_size=8)
    clips = Clips(GuideConfig(models=(clip,), config_dir=str(tiny_world)), judge, "cpu")
    return Models(tiny_world / "generator.safetensors", "generator", clips, SamplesConfig(count=2))


def begin(models: Models, *rows: str) -> AdaptPass:
    """Before the first step; each row has the settings of its name."""
    assignments = [
        Assignment(
            row=row,
            goal=PromptPair("photo", f"{row} picture"),
            config=AdaptConfig.model_validate({**LIGHT, **ROWS[row]}),
            seed=0,
            storage="delta",
        )
        for row in rows
    ]
    return AdaptPass(assignments, models)


def files(making: AdaptPass, row: str, folder: Path) -> dict[str, bytes]:
    """What a row leaves, by file."""
    folder = folder / f"{row}-{len(list(folder.iterdir()))}"
    folder.mkdir()
    making.save(row, folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def made(models: Models, row: str, folder: Path, *rows: str) -> dict[str, bytes]:
    """What a row leaves that rides with others."""
    making = begin(models, *rows)
    list(made_nan(making, "wild"))
    return files(making, row, folder)


def made_nan(making: AdaptPass, row: str) -> Iterator[Step | RowError]:
    """A pass in which a row is broken after its first step, as by an update that went too far."""
    for news in making:
        yield news
        if news.row == row and isinstance(news, Step) and news.done == 1:
            for number in making._rows[row].adaptation.parameters.learnable:
                number.data.fill_(float("nan"))


def rendered(patch: pytest.MonkeyPatch, most: int = 64) -> list[tuple[int, bool]]:
    """Pictures that are rendered at once, as many as fit, and whether for the sake of gradients."""
    sizes, render = [], SynthesisNetwork.from_styles

    def counted(self: SynthesisNetwork, styles: Styles, noise: Noise = "const") -> Tensor:
        sizes.append((len(next(iter(styles.values()))), torch.is_grad_enabled()))
        if sizes[-1][0] > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return render(self, styles, noise)

    patch.setattr(SynthesisNetwork, "from_styles", counted)
    return sizes


def test_rows_of_a_pass_take_their_steps_in_turns_and_in_one_batch(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, sizes = begin(models, "sketch", "neon", "robot"), rendered(monkeypatch)
    models.keep(("embeddings of", models.base), SourceEmbeddings)._kept.clear()
    news = [step for step in making if isinstance(step, Step)]
    assert [(step.row, step.done, step.is_last) for step in news] == [
        (row, done, done == 4) for done in (1, 2, 3, 4) for row in ("sketch", "neon", "robot")
    ]
    assert sizes == [(6, True), (2, False)] * 4  # the source of all is seen once


def test_what_rides_along_and_what_befalls_it_changes_no_byte(models: Models, tmp_path: Path) -> None:
    companies = [
        ("neon", "sketch", "robot"),
        ("elastic", "sketch", "neon"),
        ("broken", "sketch", "wild"),
        ("wild", "sketch", "judged"),
    ]
    first, *others = (made(models, "sketch", tmp_path, *rows) for rows in companies)
    assert set(first) == {"generator.safetensors", "trace.csv"}
    assert all(other == first for other in others)


def test_rows_of_fewer_iterations_leave_and_the_batch_is_smaller(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, sizes = begin(models, "brief", "sketch", "neon"), rendered(monkeypatch)
    news = [(step.row, step.done) for step in making if isinstance(step, Step)]
    assert news == [
        (row, done) for done in (1, 2, 3, 4) for row in ("brief", "sketch", "neon") if done < 3 or row != "brief"
    ]
    assert [size for size, learns in sizes if learns] == [6, 6, 4, 4]
    assert set(files(making, "brief", tmp_path)) == {"generator.safetensors", "trace.csv"}


def test_rows_that_fail_or_are_stopped_are_told_before_the_others_and_leave_a_filled_seat(
    models: Models,
) -> None:
    making = begin(models, "sketch", "broken", "wild", "judged")
    with pytest.MonkeyPatch.context() as patch:
        sizes, look = rendered(patch), EarlyStopping.after
        patch.setattr(EarlyStopping, "after", lambda self, step: look(self, step) or step == 2)
        news = list(made_nan(making, "wild"))
    assert {size for size, learns in sizes if learns} == {4 * 2}
    lost = {one.row: one.error for one in news if isinstance(one, RowError)}
    assert set(lost) == {"broken", "wild"}
    assert all(isinstance(error, NonFiniteLossError) for error in lost.values())
    assert str(lost["wild"]) == "step 1: the loss is nan; try a smaller adapt.learning_rate (now 1.0)"
    assert str(lost["broken"]) == "step 0: the loss is inf; try a smaller adapt.learning_rate (now 0.02)"
    assert isinstance(news[0], RowError)
    told = [(one.row, one.done, one.is_last) for one in news if isinstance(one, Step) and one.row != "wild"]
    assert told == [
        ("sketch", 1, False),
        ("judged", 1, False),
        ("judged", 2, True),
        ("sketch", 2, False),
        ("sketch", 3, False),
        ("sketch", 4, True),
    ]


def states(making: AdaptPass, *rows: str) -> Mapping[str, dict[str, Tensor]]:
    """Of these rows, as another process would read them."""
    return {row: {name: tensor.clone() for name, tensor in making.state_dict(row).items()} for row in rows}


@pytest.mark.parametrize("left", [("sketch", "judged", "brief"), ("sketch", "judged"), ("sketch",)])
def test_rows_go_on_to_the_same_bytes_with_those_that_are_left(
    models: Models, tmp_path: Path, left: tuple[str, ...]
) -> None:
    rows = ("brief", "sketch", "broken", "judged")
    undisturbed = begin(models, *rows)
    list(undisturbed)
    ended = begin(models, *rows)
    list(islice(ended, 3))  # the error of one, and two of three that took a step
    taken = states(ended, *left)
    making = begin(models, *left)
    assert [making.load_state_dict(row, taken[row]) for row in left] == [1] * len(left)
    list(making)
    for row in left:
        assert files(making, row, tmp_path) == files(undisturbed, row, tmp_path)


def test_a_state_of_other_company_is_refused(models: Models) -> None:
    ended = begin(models, "sketch", "brief")
    list(islice(ended, 2))
    taken = states(ended, "sketch", "brief")
    alone = {name: tensor for name, tensor in taken["sketch"].items() if not name.startswith("ride.")}
    with pytest.raises(StateError, match=r"^state: no place among rows that ride together \('seat'\); start over$"):
        begin(models, "sketch", "neon").load_state_dict("sketch", alone)
    moved = {**taken["sketch"], "ride.seat": torch.tensor(1)}
    with pytest.raises(StateError, match=r"^state: the place of a row of other iterations than 4; start over$"):
        begin(models, "sketch", "brief").load_state_dict("sketch", moved)
    assert Seat.from_state_dict(Seat(1, (4, 2)).state_dict(), 2) == Seat(1, (4, 2))


@pytest.mark.parametrize(("most", "tried", "at_once"), [(4, [6, 2, 2, 2], 3), (1, [6, 2, 2, 1, 1], 1)])
def test_out_of_memory_halves_what_is_computed_at_once_for_all(
    models: Models, monkeypatch: pytest.MonkeyPatch, most: int, tried: list[int], at_once: int
) -> None:
    rows = ("sketch", "neon", "robot")
    whole, part = begin(models, *rows), begin(models, *rows)
    list(whole)
    with monkeypatch.context() as patch:
        sizes = rendered(patch, most)
        news = list(part)
    assert [size for size, learns in sizes if learns][: len(tried)] == tried
    notes = [step.note for step in news if isinstance(step, Step) and step.note]
    assert notes == [f"out of memory; at most {at_once} at once from here on"] * 3
    for row in rows:
        losses = [[step.loss.item() for step in making._rows[row].adaptation.trace] for making in (whole, part)]
        assert losses[0] == pytest.approx(losses[1], abs=1e-3)


def test_rows_that_do_not_fit_picture_by_picture_are_lost_together(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered(monkeypatch, most=0)
    news = list(begin(models, "sketch", "neon"))
    assert [one.row for one in news] == ["sketch", "neon"]
    assert all(isinstance(one, RowError) and isinstance(one.error, OutOfMemoryError) for one in news)


# What may ride together.


def group(seed: int = 0, **options: Any) -> str:
    config = AdaptConfig.model_validate({**LIGHT, "together": 4, **options})
    return Adapt().group(
        Assignment(row=str(options), goal=PromptPair("a", "b"), config=config, seed=seed, storage="delta")
    )


ALIKE: dict[str, Any] = {
    "iterations": 7,
    "learning_rate": 0.5,
    "decay": "cosine",
    "ema": 0.9,
    "stop": "auto",
    "sparsity": 0.5,
    "global_weight": 1.0,
    "in_domain_angle_weight": 1.0,
    "elastic_weight": 1.0,
    "style_weight": 0.5,
}
UNLIKE: dict[str, Any] = {
    "seed": 1,
    "batch_size": 3,
    "parameters": "style-offset",
    "train": "rgb",
    "style_mixing": 0.5,
    "patch_directional_weight": 1.0,
    "texture_weight": 1.0,
    "selection": {"k": 2},
    "latent_bank": 4,
    "precision": "bfloat16",
    "frozen": "base",
    "together": 8,
}


@pytest.mark.parametrize("option", ALIKE)
def test_rows_whose_steps_have_one_shape_may_ride_together(option: str) -> None:
    assert group(**{option: ALIKE[option]}) == group()


@pytest.mark.parametrize("option", UNLIKE)
def test_rows_of_other_steps_may_not(option: str) -> None:
    assert group(**{option: UNLIKE[option]}) != group()


def test_weights_ride_alone_and_light_rows_as_many_as_are_allowed() -> None:
    light, full = (
        AdaptConfig.model_validate({**LIGHT, "together": 8, "parameters": one}) for one in ("modulation", "full")
    )
    assert (Adapt().num_together(light), Adapt().num_together(full)) == (8, 1)
    assert group(parameters="full", iterations=3) != group(parameters="full", iterations=4)
