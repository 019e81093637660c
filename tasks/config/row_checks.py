"""What is wrong with a row of the prompt CSV, a sentence each; where nothing is, the row itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from nada.config import Section
from nada.errors import CheckpointError, ImageError, is_on_one_line, nearest, quoted, shown
from nada.methods.registry import METHODS, find_method
from nada.paths import is_file
from nada.picture_sets import find_pictures, shared_picture
from tasks.caches import reference_pictures
from tasks.config.annotation_messages import expected_at
from tasks.config.model import NightConfig, Params
from tasks.config.problems import problems_of
from tasks.config.row import DOMAIN_LENGTH, EMPTY, PICTURES, REQUIRED, RESERVED, SLUG, STYLE_WEIGHT, TEXTURE_WEIGHT, Row
from tasks.download.registry import fetch_hint

Problem = tuple[int, str]
"""A line of the file, and what is wrong there."""

MIN_REFERENCES = 2
MOST_STYLE_IMAGES = 100
MOST_PRIORITY = 1000
MOST_CHAINED = 50  # rows, each on the next


def domain_problems(domain: str, first_line: dict[str, int]) -> Iterator[str]:
    """The domain is a short name of its own."""
    if not domain:
        yield f"'domain' {EMPTY}"
    elif not SLUG.fullmatch(domain) or len(domain) > DOMAIN_LENGTH:
        rule = f"use small letters, digits and single dashes, at most {DOMAIN_LENGTH}"
        suggestion = slug(domain)
        yield f"'domain' is {shown(domain)}; {rule}" + (f", such as {suggestion!r}" if suggestion else "")
    elif domain == RESERVED:
        yield f"'domain' is {domain!r}, which names the generator before adaptation; choose another name"
    elif domain in first_line:
        yield f"domain {domain!r} is already on line {first_line[domain]}; each domain has one row"


def override_problems(row: dict[str, str], params: Params) -> Iterator[str]:
    """Every cell beside the prompts holds what it may hold."""
    if broken := [column for column, cell in row.items() if column not in REQUIRED and not is_on_one_line(cell)]:
        yield f"{broken[0]!r} is {shown(row[broken[0]])}, with a line break or another control character in it"
        return
    known = dict(row)
    for column, names in (("recipe", params.known_recipes), ("method", METHODS)):
        if row[column] and row[column] not in names:
            hint = nearest(row[column], names) or f"; the {column}s are {quoted(names)}"
            yield f"unknown {column} {shown(row[column])}{hint}"
            known[column] = ""
    if known["recipe"] and (problem := _misfit(known["recipe"], params)):
        yield problem
        return
    yield from _method_problems(known, params)
    yield from _priority_problems(row["priority"])
    if row["seed"]:
        yield from _number_problems(NightConfig, "seed", row["seed"])
    if row["generator"] and not is_file(row["generator"]):
        yield f"'generator' is {shown(row['generator'])}; no such file{fetch_hint(row['generator'])}"
    for column in PICTURES:
        if row[column]:
            yield from _picture_problems(column, row[column])
    if row["style_images"]:
        yield from _style_problems(known, params)
    elif getattr(_settings(known, params), TEXTURE_WEIGHT, 0):
        yield f"{_method(known, params)}.{TEXTURE_WEIGHT} asks for 'style_images' that show it; name some, or set 0"


def _misfit(recipe: str, params: Params) -> str:
    """Why a recipe that came with nada contradicts its method's section here; a project's own were checked before."""
    try:
        params.recipe(recipe)
    except ValidationError as err:
        method = params.recipe_method(recipe)
        (first, *_) = problems_of(err, find_method(method).config_model, (method,))
        return f"recipe {recipe!r} does not fit params.yaml ({first}); write one of your own under recipes"
    return ""


def _picture_problems(column: str, path: str) -> Iterator[str]:
    """A set of pictures to judge by can be read, and is one."""
    try:
        found = reference_pictures.look(path)
    except (ImageError, CheckpointError) as err:
        yield f"{column!r}: {err}"
    else:
        if found.num_images < MIN_REFERENCES:
            yield f"{column!r} holds 1 image; a figure with its spread needs {MIN_REFERENCES} or more"
        if column == "true_images" and found.left_out:
            yield f"{column!r}: {path} also holds {found.left_out}; one picture a latent in their order, and no more"


def _style_problems(row: dict[str, str], params: Params) -> Iterator[str]:
    """Pictures to learn from are few, readable, of use to the row's method, and none that it is judged by."""
    path, method = row["style_images"], _method(row, params)
    if STYLE_WEIGHT not in find_method(method).config_model.model_fields:
        yield f"'style_images' is {shown(path)}; {method!r} learns from no pictures, so leave it empty"
        return
    try:
        if (num_images := len(find_pictures(Path(path)).names)) > MOST_STYLE_IMAGES:
            yield f"'style_images' holds {num_images} images; {MOST_STYLE_IMAGES} at most, so choose some"
            return
        reference_pictures.look(path)
        judges = [row[column] for column in PICTURES if row[column]]
        shared = {judge: shared_picture(Path(path), Path(judge)) for judge in judges}
    except (ImageError, CheckpointError) as err:
        yield f"'style_images': {err}"
        return
    for judge, names in shared.items():
        if names is not None:
            ours, theirs = f"{path}/{names[0]}", f"{judge}/{names[1]}"
            yield f"'style_images' holds a reference: {ours} is {theirs}, by which it is judged; remove one of the two"
            break
    weight = getattr(_settings(row, params), STYLE_WEIGHT)
    if weight < 1 and not row["target"]:
        yield f"'target' is empty, and {method}.{STYLE_WEIGHT} {weight:g} leaves it a share; write a text, or set 1"


def _method_problems(row: dict[str, str], params: Params) -> Iterator[str]:
    """The row's method, its recipe and its iterations must fit together."""
    method = _method(row, params)
    if row["method"] and row["recipe"] and params.recipe_method(row["recipe"]) != method:
        yield f"recipe {row['recipe']!r} is one of {params.recipe_method(row['recipe'])!r}, not of {method!r}"
    if row["iterations"]:
        model = find_method(method).config_model
        if "iterations" not in model.model_fields:
            yield f"'iterations' is {shown(row['iterations'])}; {method!r} has no iterations, so leave it empty"
        else:
            yield from _number_problems(model, "iterations", row["iterations"])


def _number_problems(model: type[Section], option: str, text: str) -> Iterator[str]:
    """Whether a cell holds what an option of params.yaml may hold."""
    try:
        if not _is_whole(text):
            raise ValueError(text)
        field = model.model_fields[option]
        allowed: Any = Annotated[(field.annotation, *field.metadata)]
        adapter: TypeAdapter[Any] = TypeAdapter(allowed)
        adapter.validate_python(int(text))
    except ValueError:
        yield f"{option!r} is {shown(text)}; expected {expected_at(model, (option,))[1]}"


def _priority_problems(text: str) -> Iterator[str]:
    """A priority is a small whole number."""
    if text and not (_is_whole(text) and abs(int(text)) <= MOST_PRIORITY):
        limits = f"-{MOST_PRIORITY} to {MOST_PRIORITY}; higher ones are trained first"
        yield f"'priority' is {shown(text)}; expected a whole number from {limits}"


def source_problems(rows: list[Row], domains: Collection[str]) -> Iterator[Problem]:
    """What rows start from: another row that is there, leaves what is needed, and does not start from them.

    Args:
        rows: those that have no other problem.
        domains: of all rows.
    """
    by_domain = {row.domain: row for row in rows}
    for row in rows:
        if row.on is None:
            continue
        if row.on not in domains:
            hint = nearest(row.on, domains) or "; it names another row of this file"
            yield row.line, f"'on' is {shown(row.on)}, which is no domain here{hint}"
        elif row.generator is not None:
            yield row.line, f"'on' and 'generator' are both given; {row.on!r} says which generator it started from"
        elif row.on not in by_domain:
            continue  # told of already
        elif find_method(row.method).needs_generator and find_method(by_domain[row.on].method).weights_name is None:
            yield row.line, f"'on' is {row.on!r}, made by {by_domain[row.on].method!r}, which leaves no generator"
        elif row.domain in (chain := _chain(row, by_domain)):
            yield row.line, f"'on' leads in a circle: {' on '.join([row.domain, *chain])}"
        elif len(chain) > MOST_CHAINED:
            yield row.line, f"'on' leads through more than {MOST_CHAINED} rows, each of which a worker would open"


def _chain(row: Row, by_domain: dict[str, Row]) -> list[str]:
    """The rows that one stands on, nearest first, as far as the first that comes twice, or one too many."""
    chain: list[str] = []
    while row.on is not None and row.on in by_domain and row.on not in chain and len(chain) <= MOST_CHAINED:
        chain.append(row.on)
        row = by_domain[row.on]
    return chain


def _method(row: dict[str, str], params: Params) -> str:
    return row["method"] or params.recipe_method(row["recipe"] or params.night.recipe)


def _settings(row: dict[str, str], params: Params) -> Section:
    recipe = _recipe(row, params)
    return params.recipe(recipe) if recipe else params.methods[_method(row, params)]


def _recipe(row: dict[str, str], params: Params) -> str:
    """The row's recipe, or the night's where that is one of the row's method."""
    if row["recipe"]:
        return row["recipe"]
    return params.night.recipe if params.recipe_method(params.night.recipe) == _method(row, params) else ""


def checked_row(line: int, row: dict[str, str], params: Params) -> Row:
    """The row, once nothing is wrong with it."""
    return Row(
        line=line,
        domain=row["domain"],
        source=row["source"],
        target=row["target"],
        recipe=_recipe(row, params),
        method=_method(row, params),
        generator=row["generator"] or None,
        on=row["on"] or None,
        style_images=row["style_images"] or None,
        iterations=int(row["iterations"]) if row["iterations"] else None,
        seed=int(row["seed"]) if row["seed"] else None,
        reference_images=row["reference_images"] or None,
        true_images=row["true_images"] or None,
        priority=int(row["priority"] or 0),
    )


def _is_whole(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]{1,18}", text) is not None


def slug(text: str) -> str:
    """The nearest allowed domain name.

    >>> slug("Pencil_Sketch é!")
    'pencil-sketch-e'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall("[a-z0-9]+", plain))[:DOMAIN_LENGTH].rstrip("-")
