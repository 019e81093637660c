"""A pass of mappers: what the judge lets a row keep, its files, its states, and rows that are lost alone."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.config import ClipConfig, GuideClipConfig, GuideConfig, JudgeConfig, SamplesConfig
from nada.errors import CheckpointError, NonFiniteLossError, StateError
from nada.generators.domain import Domain
from nada.judge.features import SetFeatures
from nada.latents import draw_ws, seeded_rng
from nada.methods.base import Assignment, Made, RowError, Step
from nada.methods.mapper import wording
from nada.methods.mapper.artifact import MAPPER_NAME
from nada.methods.mapper.config import MapperConfig
from nada.methods.mapper.making import MapperPass, load
from nada.methods.mapper.record import MapperRecord
from nada.methods.mapper.validation import Probe, Validator, best_probe, compare
from nada.methods.models import Clips, Models
from tests.conftest import TINY, StyleGAN2, tiny_generator

CONFIGS = {
    "robot": MapperConfig(iterations=4, probe_every=2, probe_images=4, norm_weight=0.5, directional_weight=0.5),
    "last": MapperConfig(iterations=3, keep="last", fine=False),
    "broken": MapperConfig(iterations=3, keep="last", global_weight=1e39),
}
GAIN, NONE = 0.3, -0.1


@pytest.fixture(scope="module")
def models(tiny_world: Path) -> Models:
    def clip(name: str) -> dict[str, str]:
        return {"name": f"tiny-{name}", "weights": str(tiny_world / f"tiny-{name}.safetensors")}

    guide = GuideConfig(models=(GuideClipConfig(**clip("guide")),), config_dir=str(tiny_world))
    clips = Clips(guide, JudgeConfig(model=ClipConfig(**clip("judge")), batch_size=8), "cpu")
    return Models(tiny_world / "generator.safetensors", "generator", clips, SamplesConfig(count=2))


def begin(models: Models, *rows: str) -> MapperPass:
    goal = PromptPair("photo", "robot")
    given = [Assignment(row=row, goal=goal, config=CONFIGS[row], seed=0, storage="delta") for row in rows]
    return MapperPass(given, models)


def says(monkeypatch: pytest.MonkeyPatch, *gains: float, diversity: float = 1.0) -> None:
    """The judge sees these, look by look; it never looks at more than a row has."""
    left = list(gains)

    def probe(self: Validator, domain: Domain, pair: PromptPair, step: int) -> Probe:
        return Probe(step=step, edit=0.5, gain=left.pop(0), gain_error=0.01, diversity=diversity)

    monkeypatch.setattr(Validator, "probe", probe)


def made(making: MapperPass, row: str, folder: Path) -> tuple[Made, dict[str, bytes]]:
    """What a row leaves, by file, and what it says of itself."""
    folder.mkdir()
    told = making.save(row, folder)
    return told, {path.name: path.read_bytes() for path in folder.iterdir()}


def pictures(domain: Domain) -> Tensor:
    return domain.synthesis(draw_ws(3, tiny_generator(), seeded_rng(0)))


def features(emb: list[list[float]]) -> SetFeatures:
    array = np.array(emb)
    return SetFeatures(emb=array, structure=array, colour=array)


def test_a_gain_is_how_far_pictures_moved_along_the_text() -> None:
    before = features([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
    after = features([[0.6, 0.8], [0.6, 0.8], [0.0, 1.0]])
    probe = compare(7, torch.tensor([0.0, 2.0]), before, after)  # moved up by 0.8, 0.2 and 0.2
    assert (probe.step, probe.gain) == (7, pytest.approx(0.4))
    assert probe.gain_error == pytest.approx(np.std([0.8, 0.2, 0.2], ddof=1) / np.sqrt(3))
    assert probe.is_sure is False  # 0.4 is no more than twice 0.2


@pytest.mark.parametrize(
    ("gain", "gain_error", "diversity", "is_sure"),
    [(0.3, 0.1, 1.0, True), (0.3, 0.15, 1.0, False), (0.3, 0.1, 0.49, False), (float("nan"), 0.1, 1.0, False)],
)
def test_only_a_sure_gain_that_left_variety_is_kept(
    gain: float, gain_error: float, diversity: float, is_sure: bool
) -> None:
    probe = Probe(step=1, edit=0.9, gain=gain, gain_error=gain_error, diversity=diversity)
    assert probe.is_sure is is_sure
    assert best_probe([probe]) == (probe if is_sure else None)


def test_the_largest_sure_gain_is_the_best() -> None:
    probes = [
        Probe(step=step, edit=0.0, gain=gain, gain_error=0.1, diversity=1.0) for step, gain in ((1, 0.4), (2, 0.3))
    ]
    assert best_probe([*probes, Probe(step=3, edit=0.0, gain=0.9, gain_error=0.1, diversity=0.2)]) is probes[0]


def test_the_mapper_of_the_best_look_is_kept(models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    says(monkeypatch, GAIN, 0.2)
    making = begin(models, "robot")
    after_2 = {}
    for step in making:
        if isinstance(step, Step) and step.done == 2:
            after_2 = {name: one.clone() for name, one in making.state_dict("robot").items()}
    told, files = made(making, "robot", tmp_path / "robot")
    assert (told.trained_steps, told.kept_step, told.micro_batch) == (4, 2, 2)
    assert sorted(files) == [MAPPER_NAME, "probes.csv", "trace.csv"]
    kept = load_file(tmp_path / "robot" / MAPPER_NAME)
    assert all(torch.equal(tensor, after_2[f"weights.{name}"]) for name, tensor in kept.items())
    assert files["trace.csv"].splitlines()[0] == b"step,loss,global,directional,latent,norm"
    assert files["probes.csv"].splitlines()[1] == b"2,0.5,0.3,0.01,1"


def test_what_its_files_give_back_is_what_was_made(
    models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    says(monkeypatch, GAIN, GAIN)
    making = begin(models, "robot")
    list(making)
    made(making, "robot", tmp_path / "robot")
    opened = load(tmp_path / "robot", models)
    assert torch.equal(pictures(opened), pictures(making.domain("robot")))
    assert not torch.allclose(pictures(opened), pictures(models.source), atol=1e-3)
    ws = draw_ws(3, tiny_generator(), seeded_rng(0))
    assert torch.equal(opened.synthesis.from_styles(opened.synthesis.styles(ws)), pictures(opened))
    assert not any(parameter.requires_grad for parameter in opened.parameters())


@pytest.mark.parametrize(("gain", "diversity"), [(NONE, 1.0), (GAIN, 0.2)])
def test_without_a_gain_a_row_draws_exactly_what_it_started_from_and_says_so(
    models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, gain: float, diversity: float
) -> None:
    says(monkeypatch, gain, gain, diversity=diversity)
    making = begin(models, "robot")
    list(making)
    told, _ = made(making, "robot", tmp_path / "robot")
    assert told.kept_step == 0
    assert load_file(tmp_path / "robot" / MAPPER_NAME) == {}
    for domain in (making.domain("robot"), load(tmp_path / "robot", models)):
        assert torch.equal(pictures(domain), pictures(models.source))
    assert isinstance(told.part, MapperRecord) and not told.part.is_kept
    assert wording.facts(told.part)["gained"] == (
        "nothing that is sure, so it draws exactly what it started from; at the end 4 pictures moved along the text "
        f"by {gain:.3f} (standard error 0.010), with {diversity:.0%} of the variety before"
    )


def test_the_last_mapper_is_kept_unseen_where_the_row_asks_for_it(models: Models, tmp_path: Path) -> None:
    making = begin(models, "last")
    list(making)
    told, files = made(making, "last", tmp_path / "last")
    assert (told.kept_step, sorted(files)) == (3, [MAPPER_NAME, "trace.csv"])
    assert wording.facts(told.part) == {}  # type: ignore[arg-type]
    assert {name.partition(".")[0] for name in load_file(tmp_path / "last" / MAPPER_NAME)} == {"coarse", "medium"}


def test_the_judge_itself_looks_at_latents_of_its_own(models: Models, tmp_path: Path) -> None:
    making = begin(models, "robot")
    list(making)
    told, files = made(making, "robot", tmp_path / "robot")
    assert len(files["probes.csv"].splitlines()) == 3
    assert isinstance(told.part, MapperRecord) and told.part.kept is not None
    assert (told.part.kept.num_images, told.part.kept.probes) == (4, 2)
    assert told.part.is_kept is (told.kept_step > 0)


@pytest.mark.parametrize("rows", [("broken", "last"), ("last", "broken")])
def test_a_row_whose_loss_overflows_leaves_the_pass_and_the_other_lives(
    models: Models, tmp_path: Path, rows: tuple[str, str]
) -> None:
    making = begin(models, *rows)
    news = list(making)
    (lost,) = [one for one in news if isinstance(one, RowError)]
    assert (lost.row, type(lost.error)) == ("broken", NonFiniteLossError)
    alone = begin(models, "last")
    list(alone)
    assert made(making, "last", tmp_path / "one")[1] == made(alone, "last", tmp_path / "other")[1]


def state(making: MapperPass, row: str) -> dict[str, Tensor]:
    """As another process would read it."""
    return {name: tensor.clone() for name, tensor in making.state_dict(row).items()}


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_row_goes_on_from_its_state_to_the_same_bytes(
    models: Models, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, steps: int
) -> None:
    undisturbed = begin(models, "robot")
    says(monkeypatch, GAIN, 0.2)
    list(undisturbed)
    says(monkeypatch, GAIN, 0.2)
    ended, making = begin(models, "robot"), begin(models, "robot")
    list(islice(ended, steps))
    assert making.load_state_dict("robot", state(ended, "robot")) == steps
    assert [step.done for step in making if isinstance(step, Step)] == list(range(steps + 1, 5))
    assert made(making, "robot", tmp_path / "one")[1] == made(undisturbed, "robot", tmp_path / "other")[1]


def test_a_state_of_another_row_is_refused_and_changes_nothing(models: Models) -> None:
    ended = begin(models, "robot", "last")
    list(islice(ended, 3))
    taken = {row: state(ended, row) for row in ("robot", "last")}
    making = begin(models, "robot", "last")
    damaged = {**taken["robot"], "rng": torch.zeros(3, dtype=torch.uint8)}
    without = {name: one for name, one in taken["robot"].items() if name != "optimizer.coarse.fc0.bias.step"}
    for row, wrong in (("robot", taken["last"]), ("last", taken["robot"]), ("robot", damaged), ("robot", without)):
        before = state(making, row)
        with pytest.raises(StateError, match=r"^state: .*; start over"):
            making.load_state_dict(row, wrong)
        assert all(torch.equal(one, before[name]) for name, one in state(making, row).items())


@pytest.fixture
def saved(models: Models, tmp_path: Path) -> Path:
    """A row's folder."""
    making = begin(models, "last")
    list(making)
    made(making, "last", tmp_path / "last")
    return tmp_path / "last"


def test_a_mapper_of_another_width_is_refused(models: Models, saved: Path) -> None:
    other = StyleGAN2(TINY.model_copy(update={"w_dim": 4, "resolution": 32}))
    models = Models(models.base_path, "generator", models.clips, models.samples, open_source=lambda: other)
    with pytest.raises(CheckpointError) as caught:
        load(saved, models)
    assert str(caught.value) == (
        f"{saved / MAPPER_NAME}: a mapper of latents of 6 rows of 8; the generator's have 8 of 4; "
        "it moves those of the generator it was made on"
    )


def test_a_damaged_file_is_refused_by_name(models: Models, saved: Path) -> None:
    path = saved / MAPPER_NAME
    whole = path.read_bytes()
    header = '{"format": 1, "mapper": {"w_dim": 8, "num_ws": 6, "groups": ["coarse"], "scale": 0.1}}'
    tensors = {
        f"coarse.fc{at}.{name}": torch.zeros(shape)
        for at in range(4)
        for name, shape in (("weight", (8, 8)), ("bias", 8))
    }
    for wrong, told in (
        ({}, "'coarse.fc0.bias' is missing"),
        ({**tensors, "more": torch.zeros(1)}, "'more' is unknown"),
        ({**tensors, "coarse.fc1.bias": torch.zeros(9)}, "is [9] of torch.float32; expected [8] of float32"),
        ({**tensors, "coarse.fc1.bias": torch.full((8,), float("nan"))}, "holds NaN or infinite values"),
    ):
        save_file(wrong, path, {"nada": header})
        with pytest.raises(CheckpointError) as caught:
            load(saved, models)
        assert str(caught.value).startswith(f"{path}: ") and told in str(caught.value)
    for header, told in (
        ("[]", "safetensors without a mapper's header"),
        ('{"format": 2}', "format 2; this version reads format 1"),
        ('{"format": 1, "mapper": {"w_dim": 8, "num_ws": 6, "groups": ["rough"], "scale": 0.1}}', "groups.0: "),
        ('{"format": 1, "mapper": {"w_dim": 8, "num_ws": 6, "groups": [], "scale": 1e999}}', "scale: "),
    ):
        save_file(tensors, path, {"nada": header})
        with pytest.raises(CheckpointError) as caught:
            load(saved, models)
        assert told in str(caught.value)
    for content in (whole[:100], b""):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="not a whole safetensors file"):
            load(saved, models)
    path.unlink()
    with pytest.raises(CheckpointError, match="no such file; expected a latent mapper"):
        load(saved, models)
