"""What the cells of a row ask for, and the one line for each that asks for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.errors import PromptsError
from tasks.config.model import Params
from tasks.config.prompts import load_prompts
from tasks.config.row import Row

HEADER = "domain,source,target,recipe,seed,tries,seeds,priority,on,iterations"


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    monkeypatch.chdir(tmp_path)
    return Params.model_validate(
        {
            "night": {"seed": 10},
            "generator": {"weights": "g.safetensors"},
            "guide": {"models": [{"name": "ViT-B-32", "weights": "openai"}]},
            "judge": {"model": {"name": "ViT-B-16", "weights": "openai"}},
            "recipes": {"style": {}, "Line Drawing": {}, "tint": {"method": "mapper"}},
        }
    )


def load(params: Params, *rows: str) -> list[Row]:
    Path("prompts.csv").write_text("\n".join([HEADER, *(row + "," * (9 - row.count(",")) for row in rows)]) + "\n")
    return load_prompts(Path("prompts.csv"), params)


def seeds(rows: list[Row]) -> dict[str, int | None]:
    return {row.domain: row.seed for row in rows}


def message(params: Params, *rows: str) -> str:
    with pytest.raises(PromptsError) as caught:
        load(params, *rows)
    return str(caught.value)


def test_a_row_of_one_variant_is_the_row_that_it_was(params: Params) -> None:
    plain, one = load(params, "a,x,y,style"), load(params, "a,x,y,style,,1")
    assert plain == [Row(line=2, domain="a", source="x", target="y", recipe="style")]
    assert seeds(one) == {"a": 10}


def test_tries_count_from_the_rows_seed_or_the_nights(params: Params) -> None:
    assert seeds(load(params, "a,x,y,,,2")) == {"a_style-10": 10, "a_style-11": 11}
    assert seeds(load(params, "a,x,y,,3,2")) == {"a_style-3": 3, "a_style-4": 4}


def test_seeds_and_recipes_make_a_matrix_of_each_recipe_by_its_own_method(params: Params) -> None:
    rows = load(params, "a,x,y,Line Drawing | tint,,,0-1")
    assert [(row.domain, row.recipe, row.method, row.seed) for row in rows] == [
        ("a_line-drawing-0", "Line Drawing", "adapt", 0),
        ("a_line-drawing-1", "Line Drawing", "adapt", 1),
        ("a_tint-0", "tint", "mapper", 0),
        ("a_tint-1", "tint", "mapper", 1),
    ]


def test_a_further_seed_leaves_the_names_of_the_others_as_they_are(params: Params) -> None:
    few, more = load(params, 'a,x,y,,,,"0,2"'), load(params, "a,x,y,,,,0-2")
    assert {row.domain for row in few} < {row.domain for row in more}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,x,y,,,0", "'tries' is '0'; expected a whole number from 1 to 100"),
        ("a,x,y,,,many", "'tries' is 'many'; expected a whole number from 1 to 100"),
        ("a,x,y,,,,3-1", "'seeds' is '3-1'; 3-1 is no range from 0 to 2147483647"),
        ("a,x,y,,,,1;2", "'seeds' is '1;2'; expected numbers or ranges, such as 0-3 or 0,2,5"),
        ("a,x,y,,,,0-999999999", "'seeds' is '0-999999999'; a row has 100 variants at most"),
        ("a,x,y,,,2,0-3", "'seeds' and 'tries' are both given; 'seeds' says it all"),
        ("a,x,y,style|tint,,60", "2 recipes with 60 seeds; a row has 100 variants at most"),
        ("a,x,y,style|style", "'style-10' is asked for 2 times; name each recipe and seed once"),
        ("a,x,y,style|", "'recipe' is 'style|'; between two | stands a recipe"),
        ("a,x,y,style|tnt,,2", "unknown recipe 'tnt'; did you mean 'tint'?"),
        ("a,x,y,,-1,2", "'seed' is '-1'; expected a whole number from 0 to 2147483647"),
        ("a,x,y,,2147483647,2", "'tries' counts from seed 2147483647 beyond the last one, 2147483647"),
        (
            "a,x,y,,,,,high",
            "'priority' is 'high'; expected a whole number from -1000 to 1000; higher ones are trained first",
        ),
    ],
)
def test_each_wrong_cell_is_one_line_that_says_what_is_allowed(params: Params, row: str, said: str) -> None:
    assert message(params, row).startswith(f"prompts.csv:2: {said}")
    assert "\n" not in message(params, row)


def test_a_row_on_several_variants_names_one_or_waits_for_a_pick(params: Params) -> None:
    rows = ("a,x,y,,,2", "b,x,z,,,,,,a")
    advice = "name one, such as a_style-10, or choose one: nada pick a VARIANT"
    assert message(params, *rows) == f"prompts.csv:3: 'on' is 'a', which has 2 variants; {advice}"
    assert load(params, "a,x,y,,,2", "b,x,z,,,,,,a_style-11")[-1].on == "a_style-11"
    Path("picks.csv").write_text("domain,variant,step\na,style-10,\n")
    assert load(params, *rows)[-1].on == "a_style-10"


def test_a_picked_checkpoint_makes_a_row_of_its_own_and_leaves_the_trained_one(params: Params) -> None:
    Path("picks.csv").write_text("domain,variant,step\na,style-10,40\n")
    rows = load(params, "a,x,y", "b,x,z,,,,,,a")
    assert [(row.domain, row.on) for row in rows] == [
        ("a_style-10", None),
        ("a_style-10_40", None),
        ("b", "a_style-10_40"),
    ]
