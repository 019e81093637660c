"""The cells of the prompt CSV that ask for several variants: `tries`, `seeds`, and several recipes in one cell.

tries   4                 four seeds, counted from the row's own
seeds   0-3  or  "0,2,5"  these
recipe  style|drawing     each of these, with every seed
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

from nada.errors import shown
from tasks.config.model import NightConfig, Params
from tasks.config.row import Row

MOST_VARIANTS = 100  # of a row
MOST_SEED = next(limit.le for limit in NightConfig.model_fields["seed"].metadata if hasattr(limit, "le"))
SEEDS = re.compile(r"\d{1,10}(\s*-\s*\d{1,10})?")
BETWEEN_RECIPES = "|"


class Variant(NamedTuple):
    """One combination."""

    name: str
    """Such as `style-2`."""
    recipe: str
    """As the cell has it; empty where it has none."""
    seed: str
    """In digits; the row's own cell where nothing asks for several."""


class CellsError(ValueError):
    """Cells that ask for no variants, or too many; says which."""


def variants_in(row: Mapping[str, str], params: Params) -> list[Variant]:
    """What a row asks for: one variant, or a matrix of recipes and seeds.

    Args:
        row: its cells by column.
        params: whose recipe and seed stand in for those that the row does not name.

    Raises:
        CellsError: one cell cannot be read.
    """
    cell = row["recipe"]
    recipes = [cell] if cell in params.recipes else [recipe.strip() for recipe in cell.split(BETWEEN_RECIPES)]
    if len(recipes) > 1 and not all(recipes):
        raise CellsError(f"'recipe' is {shown(cell)}; between two {BETWEEN_RECIPES} stands a recipe")
    seeds = _seeds(row, params)
    if len(recipes) * len(seeds) > MOST_VARIANTS:
        raise CellsError(f"{len(recipes)} recipes with {len(seeds)} seeds; a row has {MOST_VARIANTS} variants at most")
    combinations = list(product(recipes, seeds))
    found = [Variant(f"{_slug(recipe or _usual(row, params))}-{seed}", recipe, seed) for recipe, seed in combinations]
    if len(found) == 1 and not (row["tries"] or row["seeds"]):
        return [found[0]._replace(seed=row["seed"])]
    names = [variant.name for variant in found]
    if again := next((name for name in names if names.count(name) > 1), None):
        raise CellsError(f"{again!r} is asked for {names.count(again)} times; name each recipe and seed once")
    return found


def _seeds(row: Mapping[str, str], params: Params) -> list[str]:
    given = [column for column in ("tries", "seeds", "seed") if row[column]]
    if "seeds" in given and len(given) > 1:
        other = next(column for column in given if column != "seeds")
        raise CellsError(f"'seeds' and {other!r} are both given; 'seeds' says it all")
    if row["seeds"]:
        return [str(seed) for seed in _listed(row["seeds"])]
    if row["seed"] and not re.fullmatch(r"\+?\d{1,10}", row["seed"]):
        return [row["seed"]]  # which is told of where a row's seed is checked
    first = int(row["seed"] or params.night.seed)
    if not row["tries"]:
        return [str(first)]
    if not re.fullmatch(r"\d{1,4}", row["tries"]) or not 1 <= int(row["tries"]) <= MOST_VARIANTS:
        raise CellsError(f"'tries' is {shown(row['tries'])}; expected a whole number from 1 to {MOST_VARIANTS}")
    if first + int(row["tries"]) - 1 > MOST_SEED:
        raise CellsError(f"'tries' counts from seed {first} beyond the last one, {MOST_SEED}")
    return [str(first + index) for index in range(int(row["tries"]))]


def _listed(text: str) -> list[int]:
    """The seeds of a cell, each once and in order of appearance.

    >>> _listed("0-3"), _listed("5, 0-1")
    ([0, 1, 2, 3], [5, 0, 1])
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        if not SEEDS.fullmatch(part := part.strip()):
            raise CellsError(f"'seeds' is {shown(text)}; expected numbers or ranges, such as 0-3 or 0,2,5")
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high or high > MOST_SEED:
            raise CellsError(f"'seeds' is {shown(text)}; {part} is no range from 0 to {MOST_SEED}")
        if high - low >= MOST_VARIANTS:
            raise CellsError(f"'seeds' is {shown(text)}; a row has {MOST_VARIANTS} variants at most")
        found |= dict.fromkeys(range(low, high + 1))
    return list(found)


def variant_name(row: Row, params: Params) -> str:
    """How the row of a domain is called among its variants, where it has some."""
    return f"{_slug(row.recipe or row.method)}-{params.night.seed if row.seed is None else row.seed}"


def _usual(row: Mapping[str, str], params: Params) -> str:
    """How a variant without a recipe is called: by the night's, or by its method."""
    method, usual = row["method"], params.night.recipe
    return usual if not method or params.recipe_method(usual) == method else method


def _slug(text: str) -> str:
    """A recipe as part of a name.

    >>> _slug("Style, 2nd")
    'style-2nd'
    """
    return "-".join(re.findall("[a-z0-9]+", text.lower())) or "recipe"
