"""Recipes come with nada; a project's own go before them, and one that contradicts its sections is told of in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from nada.errors import ParamsError, PromptsError
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.prompts import load_prompts
from tasks.config.recipes import default_recipes

ROOT = Path(__file__).parents[3]
CLIP = {"name": "RN50", "weights": "openai"}
MINE = {
    "generator": {"weights": "g.safetensors"},
    "guide": {"models": [CLIP]},
    "judge": {"model": {"name": "RN101", "weights": "openai"}},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("g.safetensors").touch()


def load(**sections: Any) -> Params:
    Path("params.yaml").write_text(yaml.safe_dump({**MINE, **sections}))
    return load_params()


def rows(params: Params, recipe: str) -> str:
    Path("prompts.csv").write_text(f"domain,source,target,recipe\nsketch,photo,sketch,{recipe}\n")
    return load_prompts(Path("prompts.csv"), params)[0].recipe


def test_three_sections_are_a_whole_params_yaml() -> None:
    params = load()
    assert params.night.recipe == "style" and params.recipes == {}
    assert rows(params, "") == "style"


@pytest.mark.parametrize("name", default_recipes())
def test_every_recipe_of_nada_fits_the_sections_as_they_are(name: str) -> None:
    params = load()
    assert type(params.recipe(name)) is type(params.methods[params.recipe_method(name)])
    assert rows(params, name) == name


def test_a_projects_own_recipe_takes_the_place_of_nadas() -> None:
    params = load(recipes={"colours": {"learning_rate": 0.1}, "mine": {"iterations": 7}})
    assert (params.recipe("colours").learning_rate, params.recipe("colours").train) == (0.1, "convs")  # type: ignore[attr-defined]
    assert params.recipe("mine").iterations == 7  # type: ignore[attr-defined]
    assert list(params.known_recipes)[:2] == ["colours", "mine"]


def test_one_that_contradicts_a_section_is_refused_where_it_is_used_alone() -> None:
    params = load(adapt={"selection": {"layers": "shape"}})
    assert rows(params, "style") == "style"
    with pytest.raises(
        PromptsError, match=r"prompts.csv:2: recipe 'shape' does not fit params.yaml \(adapt.selection.*k: auto"
    ):
        rows(params, "shape")
    with pytest.raises(ParamsError, match=r"recipes.shape.selection: k: auto"):
        load(adapt={"selection": {"layers": "shape"}}, night={"recipe": "shape"})


def test_the_root_project_and_nada_name_the_same_recipes() -> None:
    ours = yaml.safe_load((ROOT / "params.yaml").read_text())["recipes"]
    assert set(default_recipes()) - set(ours) == {"drawing", "surface"}
