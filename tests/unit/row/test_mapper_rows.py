"""Rows of the latent mapper as a user meets them: on the pretrained generator, on an adapted row, and refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from nada.errors import ParamsError
from nada.images import before_after
from nada.judge.samples import fixed_latents, render
from nada.latents import draw_ws, seeded_rng
from nada.methods.sheets import save_sheet
from tasks.config.project import HERE
from tasks.library.domains import open_domain
from tasks.plan.planning import make_plan
from tasks.report.cards import recipe
from tasks.report.wording import facts
from tasks.row.check import check_models
from tasks.row.evaluate import SHEET_COLUMNS, evaluate_row
from tasks.store import row_folder
from tests.conftest import tiny_generator
from tests.methods.project import change, make_here, one_thread
from tests.project import PARAMS, Project, make_project, project, write_prompts

__all__ = ["project"]

HEADER = "domain,source,target,method,recipe,on"
BASE, RED = "base,portrait,pencil sketch,,style,", "red,portrait,red portrait,mapper,,"
MINED, AGAIN = "mined,portrait,pencil sketch,mapper,mine,base", "again,portrait,ink,mapper,mine,mined"
MAPPER = """\
mapper:
  iterations: 3
  keep: last
recipes:
  mine:
    method: mapper
    norm_weight: 0.5
  strict:
    method: mapper
    keep: best
    probe_every: 2
    probe_images: 4
"""
FILES = {"mapper.safetensors", "row.json", "trace.csv"}
SETTINGS = Path("params.yaml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Path:
    """An adapted row, a mapper on the pretrained generator, one that mines the adapted row, and one on that."""
    folder = tmp_path_factory.mktemp("made")
    make_project(folder, tiny_world)
    with pytest.MonkeyPatch.context() as patch, one_thread():
        patch.chdir(folder)
        SETTINGS.write_text(PARAMS.replace("recipes:\n", MAPPER))
        write_prompts(folder, BASE, RED, MINED, AGAIN, header=HEADER)
        plan = make_here("base", "red", "mined", "again")
        evaluate_row(plan.evaluate_job(plan.by_domain["mined"]), lambda _: None)
    return folder


@pytest.fixture
def there(made: Path, project: Project) -> Project:
    """A copy of that project, as the working folder."""
    shutil.copytree(made, project.folder, dirs_exist_ok=True)
    return project


def test_a_row_leaves_a_mapper_and_says_how_it_was_made(there: Project) -> None:
    making = row_folder.read_making("mined")
    assert set(making.files) == FILES - {"row.json"}
    assert recipe(making) == "mine: 3 steps of 2, learning rate 0.5, all rows, scale 0.1"
    assert facts(making) == {}
    assert (there.folder / "weights/adapted/red/trace.csv").read_text().startswith("step,loss,global,latent\n1,")


def test_a_mined_row_draws_moved_latents_of_the_row_it_is_on(there: Project) -> None:
    base, mined, again = (open_domain(name, SETTINGS, "cpu") for name in ("base", "mined", "again"))
    ws = draw_ws(3, tiny_generator(), seeded_rng(0))
    moved = mined.synthesis.move(ws)  # type: ignore[attr-defined]
    assert not torch.equal(moved, ws)
    assert torch.equal(mined.synthesis(ws), base.synthesis(moved))
    assert torch.equal(again.synthesis(ws), mined.synthesis(again.synthesis.move(ws)))  # type: ignore[attr-defined]


def test_its_sheet_shows_the_row_it_is_on_before_and_itself_after(there: Project) -> None:
    psi = make_plan(SETTINGS).params.samples.truncation_psi
    shown = [open_domain(name, SETTINGS, "cpu") for name in ("base", "mined")]
    before, after = (torch.cat(list(render(domain, fixed_latents(domain, 16, psi), 8)))[:6] for domain in shown)
    save_sheet(Path("expected.webp"), lambda px: before_after(before, after, SHEET_COLUMNS), before.shape[-1])
    assert (HERE.adapted / "mined" / "samples.webp").read_bytes() == Path("expected.webp").read_bytes()


def test_it_is_sampled_and_filmed_and_neither_exported_nor_mixed(there: Project) -> None:
    assert there.nada("sample", "mined", "--count", "4").status == 0
    assert there.nada("strip", "red", "again", "--count", "2").status == 0
    assert (
        there.nada("video", "red", "--seconds", "0.2", "--keys", "3", "--count", "1", "--out", "walk.gif").status == 0
    )
    for command in (["mix", "red:0.5"], ["weights", "export", "red"]):
        outcome = there.nada(*command)
        assert (outcome.status, outcome.out) == (2, "")
        assert outcome.err.startswith(
            "red: made by 'mapper', which leaves no generator that could be exported or mixed"
        )


def test_a_damaged_mapper_is_refused_by_its_file(there: Project) -> None:
    path = HERE.adapted / "mined/mapper.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    outcome = there.nada("sample", "mined")
    assert outcome.status == 2 and "weights/adapted/mined/mapper.safetensors: not a whole safetensors" in outcome.err


def states() -> dict[str, str]:
    return {planned.domain: planned.state for planned in make_plan(SETTINGS).rows}


def test_its_options_and_what_it_is_on_make_it_anew_and_nothing_else_does(there: Project) -> None:
    assert states() == {"base": "judge", "red": "judge", "mined": "current", "again": "judge"}
    change("norm_weight: 0.5", "norm_weight: 0.25")
    assert states() == {"base": "judge", "red": "judge", "mined": "train", "again": "train"}
    change("norm_weight: 0.25", "norm_weight: 0.5")
    change("  style:\n    iterations: 4", "  style:\n    iterations: 5")
    assert states() == {"base": "train", "red": "judge", "mined": "train", "again": "train"}


def test_the_judge_is_in_the_key_where_it_decides_what_is_kept(there: Project, tiny_world: Path) -> None:
    write_prompts(there.folder, RED, "sure,portrait,robot,mapper,strict,", header=HEADER)
    keys = {one.domain: one.keys.making for one in make_plan(SETTINGS).rows}
    shutil.copy(tiny_world / "tiny-guide.safetensors", "world/tiny-judge.safetensors")
    after = {one.domain: one.keys.making for one in make_plan(SETTINGS).rows}
    assert after["red"] == keys["red"] and after["sure"] != keys["sure"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "coarse: false\n  medium: false\n  fine: false",
            "mapper: coarse, medium and fine are all false; nothing would move",
        ),
        ("scale: 0.0", "mapper.scale: expected a number above 0, at most 100, got 0.0"),
        ("truncation_psi: 1.2", "mapper.truncation_psi: expected a number from 0 to 1, got 1.2"),
        ("global_weight: 0.0", "mapper: global_weight and directional_weight are both 0; nothing would be learned"),
        ("corse: false", "mapper.corse: unknown key; did you mean 'coarse'?"),
    ],
)
def test_settings_out_of_range_are_told_by_their_key(project: Project, settings: str, told: str) -> None:
    SETTINGS.write_text(PARAMS.replace("recipes:\n", f"mapper:\n  {settings}\nrecipes:\n"))
    write_prompts(project.folder, RED, header=HEADER)
    outcome = project.nada("plan")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err == f"params.yaml: 1 invalid key\n  {told}\n"


def test_groups_that_the_generator_lacks_are_refused_before_anything_is_trained(project: Project) -> None:
    only_fine = "recipes:\n  details:\n    method: mapper\n    coarse: false\n    medium: false\n"
    SETTINGS.write_text(PARAMS.replace("recipes:\n", only_fine))
    write_prompts(project.folder, "red,portrait,red portrait,,details,", header=HEADER)
    with pytest.raises(ParamsError) as caught:
        check_models(make_plan(SETTINGS).check_job(), lambda _: None)  # as a night does before its first row
    assert str(caught.value) == "recipes.details.fine: rows of ws from 8 on, of 6; set coarse or medium true as well"


@pytest.mark.parametrize(
    ("on", "told"),
    [
        ("nothing", "'on' is 'nothing', which is no domain here; it names another row of this file"),
        ("mined", "'on' leads in a circle: mined on mined"),
        ("again", "'on' leads in a circle: mined on again on mined"),
    ],
)
def test_on_that_names_nothing_itself_or_a_circle_is_refused(project: Project, on: str, told: str) -> None:
    write_prompts(project.folder, f"mined,portrait,sketch,mapper,,{on}", AGAIN.replace("mine,", ","), header=HEADER)
    outcome = project.nada("plan")
    assert outcome.status == 2
    assert f"prompts.csv:2: {told}\n" in f"{outcome.err}"
