"""picks.csv: read with a line for each mistake, written whole, and what a person's words mean."""

from __future__ import annotations

from pathlib import Path

import pytest

from nada.errors import PromptsError
from tasks.variants.picks import Pick, checked, load_picks, save_picks

PICKS = Path("picks.csv")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_file_nothing_is_picked() -> None:
    assert load_picks() == {}


def test_picks_come_back_as_they_were_written() -> None:
    save_picks({"b": Pick("b", "style-3"), "a": Pick("a", "style-0", 120)})
    assert PICKS.read_text() == "domain,variant,step\nb,style-3,\na,style-0,120\n"
    assert load_picks() == {"b": Pick("b", "style-3", None, 2), "a": Pick("a", "style-0", 120, 3)}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("domain,variant\na,b\n", "picks.csv:1: the first line is domain,variant,step"),
        ("domain,variant,step\na,,\n", "picks.csv:2: 'variant' is empty; nada pick writes such lines"),
        ("domain,variant,step\na,b,0\n", "picks.csv:2: 'step' is '0'; expected a whole number of steps, or nothing"),
        ("domain,variant,step\na,b\n", "picks.csv:2: 2 cells for 3 columns"),
        ("domain,variant,step\na,b,\na,c,\n", "picks.csv:3: 'domain' is 'a', which is picked on line 2 already"),
        ('domain,variant,step\n"a,b,\n', "picks.csv:2: not valid CSV"),
    ],
)
def test_a_wrong_line_is_named_by_file_and_row(text: str, said: str) -> None:
    PICKS.write_text(text)
    with pytest.raises(PromptsError) as caught:
        load_picks()
    assert str(caught.value).startswith(said)


def test_a_pick_of_a_variant_that_is_gone_says_what_there_is_and_the_way_back() -> None:
    assert checked(Pick("a", "style-1"), ["style-0", "style-1"]) == ""
    said = checked(Pick("a", "ink-7"), ["style-0", "style-1"])
    assert said == "'variant' is 'ink-7'; a has 'style-0' and 'style-1'; nada pick a --judge takes the line back"
