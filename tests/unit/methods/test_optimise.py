"""Latent optimisation: its loss by hand, what it leaves as a domain, and rows of it from prompts to files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.losses import global_loss
from nada.errors import CheckpointError, NonFiniteLossError, ParamsError, PromptsError, StateError
from nada.generators.registry import Network
from nada.judge.samples import fixed_latents
from nada.latent_files import read_latents, write_latents
from nada.latents import draw_ws, seeded_rng
from nada.methods.models import Models
from nada.methods.optimise import edit
from nada.methods.optimise.config import OptimiseConfig
from nada.methods.optimise.loop import Optimisation
from nada.methods.optimise.making import OptimisePass
from nada.methods.optimise.method import Optimise
from tasks.config.project import HERE
from tasks.library.domains import open_domain
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tasks.row.job import CheckedSettings
from tasks.row.models import warm_models
from tasks.workers.ray import transfer
from tests import project
from tests.conftest import TINY, tiny_generator, tiny_stylegan3
from tests.methods.project import make_here, one_thread
from tests.project import Project

GOAL = PromptPair("portrait", "pencil sketch")
L, W_DIM = 6, TINY.w_dim
PARAMS = Path("params.yaml")
SECTION = """\
optimise:
  iterations: 6
  space: w
recipes:
  mine:
    method: optimise
    latents: me.npz
  styles:
    method: optimise
    space: s
    loss: directional
"""
HEADER = "domain,source,target,method,recipe,seed"
ROWS = ("one,portrait,ink,optimise,,4", "photo,portrait,ink,,mine", "style,portrait,ink,,styles")


def optimisation(guide: Guide, source: Network | None = None, **options: Any) -> Optimisation:
    source = source or tiny_generator()
    ws = fixed_latents(source, 1, 0.7, 3)
    return Optimisation(source, guide, GOAL, ws, OptimiseConfig(**{"iterations": 5, **options}), seed=0)


def moved(found: Optimisation) -> float:
    list(found)
    return found.squared_distance().item()


def test_the_distance_is_summed_over_all_rows_of_w_plus_or_all_styles(tiny_guide: Guide) -> None:
    spaces = {space: optimisation(tiny_guide, space=space) for space in ("w", "w+", "s")}
    assert spaces["w"].source.num_ws == L
    with torch.no_grad():
        for found in spaces.values():
            first = next(iter(found.offsets.values()))
            first.view(-1)[:2] += torch.tensor([3.0, 4.0])
    assert {space: found.squared_distance().item() for space, found in spaces.items()} == {
        "w": 25.0 * L,  # the one w is every row
        "w+": 25.0,
        "s": 25.0,
    }


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_the_loss_is_that_of_the_text_and_the_weighted_distance(tiny_guide: Guide, space: str) -> None:
    found = optimisation(tiny_guide, space=space, latent_weight=0.5)
    text = float(global_loss(tiny_guide.models[0].embed_images(found.img_before), found.places[0]))
    trace = list(found)
    assert float(trace[0].text) == pytest.approx(text, abs=1e-5) == pytest.approx(float(trace[0].loss), abs=1e-5)
    assert float(trace[1].latent) == 0  # the first step is taken at rate 0
    for step in trace[2:]:
        assert float(step.latent) > 0
        assert float(step.loss) == pytest.approx(float(step.text) + 0.5 * float(step.latent), rel=1e-5)
    assert found.similarity(found.img_before) == pytest.approx(1 - text, abs=1e-5)


@pytest.mark.parametrize("space", ["w", "w+", "s"])
def test_the_picture_nears_the_text_and_a_heavier_distance_keeps_it_nearer_to_where_it_was(
    tiny_guide: Guide, space: str
) -> None:
    light, heavy = (optimisation(tiny_guide, space=space, iterations=15, latent_weight=w) for w in (0.0, 1.0))
    assert moved(light) > 2 * moved(heavy) > 0
    with torch.no_grad():
        assert light.similarity(light.picture()) > light.similarity(light.img_before) + 0.02


def test_a_directional_loss_follows_the_edit_of_the_text(tiny_guide: Guide) -> None:
    found = optimisation(tiny_guide, iterations=15, latent_weight=0.0, loss="directional")
    trace = list(found)
    assert float(trace[0].text) == pytest.approx(1, abs=1e-4)  # nothing was edited yet
    assert float(trace[-1].text) < 0.9


def test_another_family_is_edited_as_well(tiny_guide: Guide) -> None:
    assert moved(optimisation(tiny_guide, tiny_stylegan3(), space="s")) > 0


@pytest.mark.parametrize("space", ["w", "w+"])
def test_every_latent_moves_as_the_one_did(space: str) -> None:
    source = tiny_generator()
    rows = 1 if space == "w" else source.num_ws
    offset = torch.randn(rows, W_DIM, generator=seeded_rng(1))
    ws = draw_ws(3, source, seeded_rng(2))
    domain = edit.edited(source, {edit.IN_W: offset})
    assert torch.equal(domain.synthesis(ws), source.synthesis(ws + offset))


def test_a_loss_that_is_no_number_says_which_option_to_change(tiny_guide: Guide) -> None:
    found = optimisation(tiny_guide, learning_rate=10.0)
    steps = iter(found)
    next(steps)
    with torch.no_grad():
        found.offsets[edit.IN_W].fill_(torch.nan)
    message = r"^step 1: the loss is nan; try a smaller optimise.learning_rate \(now 10.0\)$"
    with pytest.raises(NonFiniteLossError, match=message):
        next(steps)


@pytest.fixture
def plan(tmp_path: Path, tiny_world: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plan]:
    """Of a row of a seed, one of a photo's latent, and one in S."""
    project.make_project(tmp_path, tiny_world)
    monkeypatch.chdir(tmp_path)
    PARAMS.write_text(project.PARAMS.replace("recipes:\n", SECTION))
    project.write_prompts(Path(), *ROWS, header=HEADER)
    write_me(seed=8)
    with one_thread():
        yield make_plan(PARAMS)


def write_me(seed: int, **about: str) -> Tensor:
    """me.npz with a latent of W+."""
    w_plus = torch.randn(L, W_DIM, generator=seeded_rng(seed))
    write_latents(Path("me.npz"), w_plus.numpy(), about)
    return w_plus


def keys() -> dict[str, str]:
    return {planned.domain: planned.keys.making for planned in make_plan(PARAMS).rows}


def refusal() -> str:
    with pytest.raises(PromptsError) as err:
        make_plan(PARAMS)
    return str(err.value)


def test_what_a_file_holds_is_in_the_key_and_its_name_is_not(plan: Plan) -> None:
    before = keys()
    Path("me.npz").rename("renamed.npz")
    PARAMS.write_text(PARAMS.read_text().replace("me.npz", "renamed.npz"))
    assert keys() == before
    Path("renamed.npz").rename("me.npz")
    write_me(seed=9)
    PARAMS.write_text(PARAMS.read_text().replace("renamed.npz", "me.npz"))
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {"photo"}


def test_latents_that_cannot_be_used_are_told_with_the_row_before_anything_is_made(plan: Plan) -> None:
    write_me(seed=8, generator="f" * 64)
    assert refusal() == ("prompts.csv:3: 'photo': me.npz: found in another generator than this row's; invert it anew")
    Path("me.npz").write_bytes(b"PK nothing")
    assert refusal().startswith("prompts.csv:3: 'photo': me.npz: damaged (")
    Path("me.npz").unlink()
    message = "prompts.csv:3: 'photo': optimise.latents is 'me.npz', which cannot be read (No such file or directory)"
    assert refusal() == message


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((4, 7), "latents: me.npz: latents [4, 7]; the generator takes W, [N, 8], or W+, [6, 8] or [N, 6, 8]"),
        ((3, 8), "latents: me.npz: 3 latents; one is optimised"),
    ],
)
def test_latents_of_another_shape_are_refused_once_the_generator_is_known(
    plan: Plan, shape: tuple[int, ...], why: str
) -> None:
    np.savez("me.npz", w=np.zeros(shape, np.float32))
    with pytest.raises(ParamsError) as err:
        Optimise().check(OptimiseConfig(latents="me.npz"), tiny_generator())
    assert str(err.value) == why


def test_the_latent_travels_to_other_machines(plan: Plan, tmp_path: Path) -> None:
    job = plan.job(plan.by_domain["photo"])
    assert "me.npz" in transfer.pack(job).files
    assert "me.npz" in transfer.pack(plan.check_job()).files
    outside = replace(job, config=job.config.model_copy(update={"latents": str(tmp_path / "me.npz")}))
    packed = transfer.pack(outside).job
    assert packed.config.latents == f".outside{tmp_path}/me.npz"  # type: ignore[union-attr]
    settings = CheckedSettings("recipes.mine", job.method, outside.config, ("f" * 64,))
    travelled = transfer.pack(replace(plan.check_job(), settings=(settings,))).job
    assert travelled.settings == (settings._replace(config=packed.config),)  # type: ignore[union-attr]


def test_a_recipe_with_a_latent_is_for_the_generators_of_its_rows(plan: Plan) -> None:
    """One of another generator, which no row here uses, is refused by none."""
    (base,) = {planned.source.base_sha256 for planned in plan.rows}
    of = {settings.place: settings.bases for settings in plan.check_job().settings}
    assert of["recipes.mine"] == of["optimise"] == of["recipes.style"] == (base,)
    foreign = "recipes:\n  foreign:\n    method: optimise\n    latents: none.npz\n"
    PARAMS.write_text(PARAMS.read_text().replace("recipes:\n", foreign))
    of = {settings.place: settings.bases for settings in make_plan(PARAMS).check_job().settings}
    assert of["recipes.foreign"] == ()
    assert of["recipes.mine"] == (base,)


def test_rows_leave_an_edit_of_every_latent_and_show_the_one(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    make_here("one", "photo", "style")
    start = {"photo": write_me(seed=8)}
    source = tiny_generator()
    start["one"] = fixed_latents(source, 1, 0.7, 4)[0]
    for name in ("one", "photo", "style"):
        folder = HERE.adapted / name
        latent = read_latents(folder / edit.LATENT_NAME)
        ws = torch.tensor(latent.ws(L, W_DIM, name))
        if name in start:
            assert torch.equal(ws[0], start[name])
        assert latent.generator == plan.by_domain[name].source.base_sha256
        with (folder / "trace.csv").open() as file:
            assert [line["step"] for line in csv.DictReader(file)] == list("123456")
        with Image.open(folder / edit.EDIT_NAME) as picture:
            shown = np.asarray(picture)
        outcome = Project(Path(), capsys).nada(
            "sample", name, "--latents", str(folder / edit.LATENT_NAME), "--out", "after.png"
        )
        assert outcome.status == 0, outcome
        with Image.open("after.png") as after:
            drawn, before = np.asarray(after).astype(float), shown[:, :16].astype(float)
        edited = shown[:, 18:].astype(float)  # in few bytes, and still the edited one, as the domain draws it
        assert np.abs(drawn - edited).mean() < 0.5 * np.abs(drawn - before).mean()
        assert not np.array_equal(shown[:, :16], shown[:, 18:])
    assert (HERE.adapted / "one" / "offset.safetensors").stat().st_size < 1000


def test_a_state_goes_on_to_the_same_bytes_and_others_are_refused(plan: Plan, tmp_path: Path) -> None:
    job = plan.job(plan.by_domain["style"])
    models = warm_models(job).models

    def begin() -> OptimisePass:
        return OptimisePass([job.assignment], models)

    whole, broken = begin(), begin()
    list(whole)
    steps = iter(broken)
    for _ in range(3):
        next(steps)
    state = broken.state_dict("style")
    resumed = begin()
    assert resumed.load_state_dict("style", state) == 3
    assert [step.done for step in resumed] == [4, 5, 6]  # type: ignore[union-attr]
    for name, folder in (("whole", whole), ("resumed", resumed)):
        (tmp_path / name).mkdir()
        folder.save("style", tmp_path / name)
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "resumed" / file.name).read_bytes(), file.name
    with pytest.raises(StateError, match="not one of a latent optimisation"):
        begin().load_state_dict("style", {"trace.loss": torch.zeros(3)})
    other = {name: tensor[..., :1] if name.startswith("offset.") else tensor for name, tensor in state.items()}
    with pytest.raises(StateError, match="of another row"):
        begin().load_state_dict("style", other)


def test_a_damaged_offset_is_no_domain(plan: Plan) -> None:
    make_here("one")
    path = HERE.adapted / "one" / "offset.safetensors"
    models: Models = warm_models(plan.job(plan.by_domain["one"])).models
    edit.save(path, {edit.IN_W: torch.zeros(2, W_DIM)})
    with pytest.raises(CheckpointError, match=r"an offset \[2, 8\]; the source has latents of 6 rows of 8"):
        edit.load(path.parent, models)
    path.write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"offset\.safetensors: no offset"):
        edit.load(path.parent, models)
    with pytest.raises(CheckpointError):
        open_domain("none", PARAMS, "cpu")
