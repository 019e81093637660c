"""params.yaml: read, checked whole, frozen. Every problem is reported at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic

from nada.config import WEB, ClipConfig, names_a_file
from nada.errors import CheckpointError, ParamsError, nearest, quoted
from nada.methods.registry import METHODS, find_method
from nada.paths import is_file, is_folder
from tasks.config.model import Params
from tasks.config.problems import problems_of
from tasks.config.project import HERE
from tasks.config.recipes import DEFAULT_METHOD, METHOD_KEY, default_recipes, merged
from tasks.config.yaml_reader import read_yaml
from tasks.download.judge_weights import network_files, wanted
from tasks.download.registry import fetch_hint

SECTIONS = "sections such as night, generator, guide, judge"


def load_params(path: Path = HERE.params) -> Params:
    """Read, check and freeze params.yaml; a recipe is checked as a whole section of its method.

    Raises:
        ParamsError: missing, not YAML, unknown keys, wrong types, values out of range; all in one message.
        CheckpointError: weights or a folder that it names do not exist; all in one message.
    """
    params = parse_params(path)
    _check_paths(path, params)
    return params


def parse_params(path: Path = HERE.params) -> Params:
    """The same, whether or not the files that it names are there.

    Raises:
        ParamsError: as for `load_params`.
    """
    content = read_yaml(path, SECTIONS, "run nada in the project's folder, or pass --params")
    wrong_sections = _method_problems(content)
    problems = [*wrong_sections, *_recipe_problems(content)]
    rest = {name: value for name, value in content.items() if name not in METHODS}
    try:
        params = Params.model_validate(rest if wrong_sections else content)
    except pydantic.ValidationError as err:
        problems = [*problems_of(err, Params, (), _sections()), *problems]
    if problems:
        noun = "key" if len(problems) == 1 else "keys"
        raise ParamsError(f"{path}: {len(problems)} invalid {noun}", *(f"  {problem}" for problem in problems))
    return params


def _sections() -> list[str]:
    """The keys at the top of params.yaml, those of the methods in their place."""
    return [key for name in Params.model_fields for key in (METHODS if name == "methods" else [name])]


def _method_problems(content: dict[Any, Any]) -> list[str]:
    """Check the section of each method."""
    problems: list[str] = []
    for name in METHODS:
        model = find_method(name).config_model
        try:
            model.model_validate(content.get(name, {}))
        except pydantic.ValidationError as err:
            problems += problems_of(err, model, (name,))
    return problems


def _recipe_problems(content: dict[Any, Any]) -> list[str]:
    """Check every recipe as its method's section with its overrides, and that `night.recipe` is one of them."""
    recipes = content.get("recipes", {})
    if not isinstance(recipes, dict):
        return []  # reported by the schema
    problems: list[str] = []
    for name, overrides in recipes.items():
        if isinstance(overrides, dict):
            problems += _one_recipe_problems(str(name), overrides, content)
    night = content.get("night", {})
    chosen = night.get("recipe", "style") if isinstance(night, dict) else None
    if isinstance(chosen, str) and chosen not in recipes and chosen in default_recipes():
        problems += _one_recipe_problems(chosen, default_recipes()[chosen], content)
    elif isinstance(chosen, str) and chosen not in recipes:
        known = list(dict.fromkeys([*map(str, recipes), *default_recipes()]))
        hint = nearest(chosen, known) or f"; the recipes are {quoted(known)}"
        problems.append(f"night.recipe: no recipe named {chosen!r}{hint}")
    return problems


def _one_recipe_problems(name: str, overrides: Mapping[Any, Any], content: dict[Any, Any]) -> list[str]:
    """Problems of the overrides alone; mistakes in the method's section itself are reported where they are."""
    overrides = dict(overrides)
    method = overrides.pop(METHOD_KEY, DEFAULT_METHOD)
    if not isinstance(method, str) or method not in METHODS:
        hint = nearest(str(method), METHODS) or f"; the methods are {quoted(METHODS)}"
        return [f"recipes.{name}.{METHOD_KEY}: no method named {method!r}{hint}"]
    model, place = find_method(method).config_model, ("recipes", name)
    try:
        model.model_validate(overrides)
    except pydantic.ValidationError as err:
        alone = problems_of(err, model, place)
        if any(error["loc"] for error in err.errors()):
            return alone
    try:
        base = model.model_validate(content.get(method, {}))
    except pydantic.ValidationError:
        return []
    try:
        model.model_validate(merged(base.model_dump(), overrides))
    except pydantic.ValidationError as err:
        return problems_of(err, model, place)
    return []


def _check_paths(path: Path, params: Params) -> None:
    problems: list[str] = []
    weights: list[tuple[str, str]] = [("generator.weights", params.generator.weights)]
    clips: list[tuple[str, ClipConfig]] = [
        *((f"guide.models[{index}].weights", clip) for index, clip in enumerate(params.guide.models)),
        ("judge.model.weights", params.judge.model),
    ]
    weights += [(key, clip.weights) for key, clip in clips if names_a_file(clip.weights)]
    for key, file in weights:
        if not is_file(file):
            hint = fetch_hint(file) if key == "generator.weights" else ""
            problems.append(f"{file}: no such file; {path} names it as {key}{hint}")
    for key, setting, published in wanted(params.judge):
        missing = [] if setting == WEB else [file for file in network_files(setting, *published) if not is_file(file)]
        problems += [f"{file}: no such file; {path} names it as {key}; or write '{WEB}' there" for file in missing]
    folder = params.guide.config_dir
    if folder is not None and not is_folder(folder):
        problems.append(f"{folder}: no such folder; {path} names it as guide.config_dir")
    if problems:
        raise CheckpointError(*problems)
