"""params.yaml: read, checked whole, frozen. Every problem is reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pydantic
import yaml

from nada.config import WEB, ClipConfig, names_a_file
from nada.errors import CheckpointError, ParamsError
from nada.methods.adapt.config import AdaptConfig
from tasks.config.annotation_messages import expected_at, known_keys
from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.download.judge_weights import network_files, wanted

SECTIONS = "sections such as night, generator, guide, judge"
_VALUE_LENGTH = 60  # longer values are cut in messages
_DOMAIN_VALIDATOR = "value_error"  # pydantic's type of a ValueError raised by our own validators


class _Loader(yaml.SafeLoader):
    """YAML 1.2 where it matters: `1e-3` is a number, `22:30` a text, and a key given twice is an error."""


_Loader.yaml_implicit_resolvers = {
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)
for _digit in "0123456789":
    _Loader.yaml_implicit_resolvers[_digit].insert(0, ("tag:yaml.org,2002:str", re.compile(r"^\d+(:\d+)+$")))


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key_node, _ in node.value:
        if key_node.value in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key_node.value!r} is given twice", key_node.start_mark
            )
        if isinstance(key_node.value, str):
            seen.add(key_node.value)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


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


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'iterations'?`, or nothing when no known word is near.

    >>> nearest("iteratons", ["iterations", "ema"])
    "; did you mean 'iterations'?"
    >>> nearest("zebra", ["iterations", "ema"])
    ''
    """
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def read_yaml(path: Path, expected: str, way_out: str) -> dict[Any, Any]:
    """A YAML file that holds a mapping, with no key given twice.

    Args:
        path: the file.
        expected: what it should hold, for the message where it holds nothing of the kind.
        way_out: what to do where the file is missing.

    Raises:
        ParamsError: missing, not UTF-8, not YAML, or no mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_Loader)
    except FileNotFoundError as err:
        raise ParamsError(f"{path}: no such file; {way_out}") from err
    except OSError as err:
        raise ParamsError(f"{path}: cannot be read ({err.strerror})") from err
    except UnicodeDecodeError as err:
        raise ParamsError(
            f"{path}: not UTF-8 (byte {err.object[err.start]:#04x} at {err.start}); save it as UTF-8"
        ) from err
    except yaml.MarkedYAMLError as err:
        line = "" if err.problem_mark is None else f":{err.problem_mark.line + 1}"
        raise ParamsError(f"{path}{line}: not valid YAML ({err.problem or err.context})") from err
    except yaml.YAMLError as err:
        raise ParamsError(f"{path}: not valid YAML ({str(err).splitlines()[0]})") from err
    if not isinstance(content, dict):
        kind = "empty" if content is None else f"a {type(content).__name__}"
        raise ParamsError(f"{path}: the file is {kind}; expected {expected}")
    return content


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


def quoted(words: Iterable[str]) -> str:
    """`'a', 'b' and 'c'`.

    >>> quoted(["a", "b", "c"])
    "'a', 'b' and 'c'"
    """
    shown = [repr(word) for word in words]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def _dotted(place: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")


def _shown(value: Any) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 3] + "..."
