"""params.yaml: read, checked whole, frozen. Every problem is reported at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pydantic

from nada.config import WEB, ClipConfig, names_a_file
from nada.errors import CheckpointError, ParamsError, nearest, quoted
from nada.methods.adapt.config import AdaptConfig
from tasks.config.annotation_messages import expected_at, known_keys
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.config.yaml_reader import read_yaml
from tasks.download.judge_weights import network_files, wanted

SECTIONS = "sections such as night, generator, guide, judge"
_VALUE_LENGTH = 60  # longer values are cut in messages
_DOMAIN_VALIDATOR = "value_error"  # pydantic's type of a ValueError raised by our own validators


def load_params(path: Path = HERE.params) -> Params:
    """Read, check and freeze params.yaml; the recipes are checked as whole `adapt` sections.

    Raises:
        ParamsError: missing, not YAML, unknown keys, wrong types, values out of range; all in one message.
        CheckpointError: weights or a folder that it names do not exist; all in one message.
    """
    content = read_yaml(path, SECTIONS, "run nada in the project's folder, or pass --params")
    problems = _recipe_problems(content)
    try:
        params = Params.model_validate(content)
    except pydantic.ValidationError as err:
        problems = [*problems_of(err, Params, ()), *problems]
    if problems:
        noun = "key" if len(problems) == 1 else "keys"
        raise ParamsError("\n  ".join([f"{path}: {len(problems)} invalid {noun}", *problems]))
    _check_paths(path, params)
    return params


def _recipe_problems(content: dict[Any, Any]) -> list[str]:
    """Check every recipe as `adapt` with its overrides, and that `night.recipe` is one of them."""
    recipes, adapt = content.get("recipes", {}), content.get("adapt", {})
    if not isinstance(recipes, dict) or not isinstance(adapt, dict):
        return []  # reported by the schema
    problems: list[str] = []
    for name, overrides in recipes.items():
        if isinstance(overrides, dict):
            problems += _one_recipe_problems(str(name), overrides, adapt)
    night = content.get("night", {})
    chosen = night.get("recipe", "style") if isinstance(night, dict) else None
    if isinstance(chosen, str) and chosen not in recipes:
        hint = nearest(chosen, map(str, recipes)) or f"; the recipes are {quoted(map(str, recipes))}"
        problems.append(f"night.recipe: no recipe named {chosen!r}{hint}")
    return problems


def _one_recipe_problems(name: str, overrides: dict[Any, Any], adapt: dict[Any, Any]) -> list[str]:
    """Problems of the overrides alone; mistakes in `adapt` itself are reported where they are."""
    try:
        AdaptConfig.model_validate(overrides)
    except pydantic.ValidationError as err:
        alone = problems_of(err, AdaptConfig, ("recipes", name))
        if any(error["loc"] for error in err.errors()):
            return alone
    try:
        base = AdaptConfig.model_validate(adapt)
        selection = {**base.selection.model_dump(), **overrides.get("selection", {})}
        AdaptConfig.model_validate({**base.model_dump(), **overrides, "selection": selection})
    except pydantic.ValidationError as err:
        return [] if any(error["loc"] for error in err.errors()) else problems_of(err, AdaptConfig, ("recipes", name))
    return []


def problems_of(err: pydantic.ValidationError, model: type[pydantic.BaseModel], prefix: Sequence[str]) -> list[str]:
    """One line per wrong key; the branches of a union are reported once."""
    lines: dict[str, str] = {}
    places = [expected_at(model, error["loc"])[0] for error in err.errors()]
    for error in err.errors():
        place, text = expected_at(model, error["loc"])
        if any(other != place and other[: len(place)] == place for other in places) and error["type"] == "too_short":
            continue  # a list counts as short when its items are wrong
        where = _dotted((*prefix, *place))
        last = str(place[-1]) if place else ""
        if error["type"] == "extra_forbidden":
            hint = nearest(last, known_keys(model, place[:-1]))
            hint = hint or f"; the keys are {quoted(known_keys(model, place[:-1]))}"
            lines.setdefault(where, f"{where}: unknown key{hint}")
        elif error["type"] == "missing":
            lines.setdefault(where, f"{where}: missing; expected {text}")
        elif error["type"] == _DOMAIN_VALIDATOR:
            lines.setdefault(f"{where}!", ": ".join(filter(None, [where, str(error["ctx"]["error"])])))
        else:
            lines.setdefault(where, f"{where}: expected {text}, got {_shown(error['input'])}")
    return list(lines.values())


def _check_paths(path: Path, params: Params) -> None:
    from tasks.download.registry import fetch_hint  # which checks its own file by this module's functions

    problems: list[str] = []
    weights: list[tuple[str, str]] = [("generator.weights", params.generator.weights)]
    clips: list[tuple[str, ClipConfig]] = [
        *((f"guide.models[{index}].weights", clip) for index, clip in enumerate(params.guide.models)),
        ("judge.model.weights", params.judge.model),
    ]
    weights += [(key, clip.weights) for key, clip in clips if names_a_file(clip.weights)]
    for key, file in weights:
        if not Path(file).is_file():
            hint = fetch_hint(file) if key == "generator.weights" else ""
            problems.append(f"{file}: no such file; {path} names it as {key}{hint}")
    for key, setting, published in wanted(params.judge):
        missing = [] if setting == WEB else [file for file in network_files(setting, *published) if not file.is_file()]
        problems += [f"{file}: no such file; {path} names it as {key}; or write '{WEB}' there" for file in missing]
    folder = params.guide.config_dir
    if folder is not None and not Path(folder).is_dir():
        problems.append(f"{folder}: no such folder; {path} names it as guide.config_dir")
    if problems:
        raise CheckpointError("\n".join(problems))


def _dotted(place: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 3] + "..."
