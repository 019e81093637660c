"""Global directions through a night: statistics computed once in a worker, rows in one pass, one of them on another."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tasks.config.project import HERE
from tasks.plan.planning import make_plan
from tasks.store import row_folder
from tests import project
from tests.methods.project import change
from tests.project import Outcome, Project, run_alone, write_prompts

PARAMS = Path("params.yaml")
SECTION = """\
directions:
  beta: 0.0
  strip_latents: 2
  channels:
    num_images: 2
    num_samples: 200
    max_resolution: 8
recipes:
  still:                      # no channel is as relevant
    method: directions
    beta: 0.99
"""
HEADER = "domain,source,target,method,recipe,on"
ROWS = (
    "base,portrait,pencil sketch,,style",
    "hair,portrait,portrait with red hair,directions",
    "follower,portrait,portrait with red hair,directions,,base",
    "other,portrait,robot,directions",
    "still,portrait,robot,,still",
)
NUM_CHANNELS = 16 + 16 + 16  # read by the convolutions up to 8 px
STILL = (
    r"still: FAILED; directions\.beta is 0\.99, and no channel is as relevant to this edit: the most relevant has 0\.\d"
)

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect 3.8 defines a column type in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:Type object <class 'prefect"),
]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, tiny_world: Path) -> Iterator[tuple[Path, Outcome, str]]:
    """A project after a night, how the command ended, and what was planned before it."""
    folder = tmp_path_factory.mktemp("night")
    project.make_project(folder, tiny_world)
    (folder / "params.yaml").write_text(project.PARAMS.replace("recipes:\n", SECTION))
    write_prompts(folder, *ROWS, header=HEADER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        planned = run_alone(folder, "plan", "--no-preflight")
        yield folder, run_alone(folder, "run"), planned.out


@pytest.fixture
def after_night(
    night: tuple[Path, Outcome, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Project:
    """A copy of that project, to go on with."""
    shutil.copytree(night[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, capsys)


def states() -> dict[str, str]:
    return {planned.domain: planned.state for planned in make_plan(PARAMS).rows}


def test_what_rows_share_is_planned_once_and_computed_once(night: tuple[Path, Outcome, str]) -> None:
    folder, outcome, planned = night
    assert outcome.status == 1, outcome
    assert re.search(
        r"About \d+ seconds? of that is for what rows of a generator share and keep; nada prepare", planned
    )
    total = 2 * 2 * NUM_CHANNELS
    assert outcome.out.count(f"prepares: {total} of {total} pictures") == 1
    assert len(list((folder / HERE.prepared).iterdir())) == 1
    assert not (folder / HERE.unfinished).exists()


def test_rows_of_a_generator_are_edited_in_one_pass_and_one_that_cannot_be_leaves_the_others(
    night: tuple[Path, Outcome, str], after_night: Project
) -> None:
    assert re.search(STILL, night[1].out)
    assert "1 failed; the rest is whole." in night[1].out
    for domain, group in {"hair": ["hair", "other", "still"], "follower": ["follower"]}.items():
        making = row_folder.read_making(domain)
        assert (list(making.group), making.part["num_channels"]) == (group, NUM_CHANNELS)
        assert {"offset.safetensors", "strengths.webp"} <= making.files.keys()
        assert {"load", "prepare", "make"} == making.seconds.keys()


def test_a_row_on_another_moves_the_styles_of_that_one_by_the_same_offset(after_night: Project) -> None:
    hair, follower = (load_file(HERE.adapted / domain / "offset.safetensors") for domain in ("hair", "follower"))
    assert hair.keys() == follower.keys() and all(bool((hair[name] == follower[name]).all()) for name in hair)
    assert (HERE.adapted / "hair" / "samples.webp").read_bytes() != (
        HERE.adapted / "follower" / "samples.webp"
    ).read_bytes()
    assert after_night.nada("sample", "follower", "--count", "2").status == 0
    outcome = after_night.nada("verify", "hair")
    assert outcome.status == 0, outcome
    assert "hair: the same bytes in all 5 files" in outcome.out


def test_the_report_shows_the_strip_of_strengths(night: tuple[Path, Outcome, str]) -> None:
    (page,) = (night[0] / "reports").glob("20*/index.html")
    card = page.read_text().partition('<article id="hair"')[2].partition("</article>")[0]
    assert "A latent a row; from left to right alpha -4, 0, 2, 4, 6." in card
    assert "of alpha 4, beta 0, 2 pictures a channel" in card
    assert f"of {NUM_CHANNELS} channels (b4.conv1 " in card


def test_another_strength_makes_rows_anew_and_prepares_nothing(after_night: Project) -> None:
    assert states() == {
        "base": "current",
        "hair": "current",
        "follower": "current",
        "other": "current",
        "still": "train",
    }
    change("beta: 0.0\n", "beta: 0.0\n  alpha: 2.0\n")
    plan = make_plan(PARAMS)
    assert [planned.domain for planned in plan.to_train] == ["hair", "follower", "other", "still"]
    assert all(planned.cost.preparing_seconds == 0 for planned in plan.to_train)
    assert after_night.nada("prepare").out == "Nothing to prepare.\n"


def test_other_statistics_are_prepared_ahead_and_told_to_dvc(after_night: Project) -> None:
    assert after_night.nada("inputs").status == 0
    before = json.loads(HERE.preparations.read_text())["prepared"]
    assert [path.stem for path in HERE.prepared.iterdir()] == before
    change("num_images: 2", "num_images: 1")
    assert after_night.nada("inputs").status == 0
    (key,) = set(json.loads(HERE.preparations.read_text())["prepared"]) - set(before)
    outcome = after_night.nada("prepare")
    assert outcome.status == 0, outcome
    assert (HERE.prepared / f"{key}.safetensors").is_file()
    assert not any(planned.cost.preparing_seconds for planned in make_plan(PARAMS).to_train)


def test_settings_are_checked_by_name_and_range(after_night: Project) -> None:
    change("  beta: 0.0\n", "  beta: 1.0\n  gamma: 3\n")
    change("num_images: 2", "num_images: 0")
    outcome = after_night.nada("plan")
    assert (outcome.status, outcome.err.splitlines()[0]) == (2, "params.yaml: 3 invalid keys")
    for line in ("directions.beta: ", "directions.gamma: unknown key", "directions.channels.num_images: "):
        assert line in outcome.err
