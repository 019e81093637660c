"""Tables fit a terminal: whoever is named is named in full, and no figure is squeezed."""

from __future__ import annotations

import io

import pytest
from rich.console import Console, RenderableType

from flows.cli.display import Display
from flows.cli.tables import leaderboard_table, plan_table
from flows.cli.terminal import PlainConsole, echo
from flows.sheet import Column, Sheet
from nada.methods.adapt.config import AdaptConfig
from tasks.report.score_catalogue import MAIN_SCORES
from tests.unit.flows.test_tables import plan, planned

LONG = "a-domain-of-fourty-eight-characters-and-not-less"
HOSTILE = "a\x1b[31m\x1b]8;;http://evil\x07\u202egnp.b\x9b2J"


def drawn(what: RenderableType, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(what)
    return captured.get().splitlines()


def board(*domains: str) -> list[dict[str, object]]:
    scores = {name: 0.1234 for one in MAIN_SCORES for name in (one.name, one.before) if name}
    ends = {f"{one.name}_{end}": 0.1 for one in MAIN_SCORES for end in ("low", "high")}
    return [{"domain": domain, **scores, **ends, "seconds": 754.0} for domain in domains]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_plan_names_every_domain_prompt_and_state_in_full(width: int) -> None:
    rows = [planned(domain, "train", AdaptConfig(iterations=150)) for domain in ("sketch", LONG)]
    lines = drawn(plan_table(plan(*rows)), width)
    assert max(map(len, lines)) <= width and "…" not in "".join(lines)
    folded = "".join(line[: width // 2].rstrip() for line in lines)
    assert LONG in folded and "sketch" in folded
    words = " ".join(lines).split()
    assert {"portrait", "style", "150", "train,", "minutes"} <= set(words)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_leaderboard_squeezes_no_figure_and_tells_failures_below(width: int) -> None:
    reason = "step 3: the loss is nan; lower adapt.learning_rate, or choose another recipe. " * 3
    lines = drawn(leaderboard_table(board("sketch", LONG), {"robot": reason}, {}), width)
    assert max(map(len, lines)) <= width
    start = next(place for place, line in enumerate(lines) if line.startswith("robot: step 3"))
    above = " ".join(lines[:start])
    for meaning in MAIN_SCORES:
        assert meaning.shown(0.1234, 0.1, 0.1) in above
        assert set(meaning.label.split()) <= set(above.split())
    assert "12 min 34 s" in above and "…" not in above
    assert " ".join(" ".join(lines[start:]).split()) == f"robot: {reason}".strip()


def test_where_all_rows_failed_no_table_stands_above_them() -> None:
    assert drawn(leaderboard_table([], {"robot": "the loss is nan"}, {}), 80) == ["robot: the loss is nan"]


def test_columns_without_room_follow_below_with_the_name_again() -> None:
    sheet = Sheet(Column("name"), *(Column(f"title {num}", is_number=True) for num in range(3)))
    sheet.add("a", *(f"{num} is a figure" for num in range(3)))
    assert [line.rstrip() for line in drawn(sheet, 40)] == [
        "name        title 0        title 1",
        "a     0 is a figure  1 is a figure",
        "",
        "name        title 2",
        "a     2 is a figure",
    ]


def test_a_sheet_without_rows_shows_its_titles() -> None:
    assert [line.rstrip() for line in drawn(Sheet(Column("name"), Column("figure")), 40)] == ["name  figure"]


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_others_wrote_is_shown_and_not_obeyed(is_terminal: bool) -> None:
    output = io.StringIO()
    console = PlainConsole(file=output, width=200, force_terminal=is_terminal, color_system=None)
    sheet = Sheet(Column("name"), Column("text"))
    sheet.add(HOSTILE, f"{HOSTILE}\n")
    console.print(sheet)
    Display(console).say(f"{HOSTILE}\nsecond line")
    shown = "a\\x1b[31m\\x1b]8;;http://evil\\x07\\u202egnp.b\\x9b2J"
    first, again, second = output.getvalue().splitlines()[1:]
    assert first.split() == [shown, f"{shown}\\n"]
    assert (again, second) == (shown.replace("\\x07", ""), "second line")  # rich drops the bell by itself
    assert not [one for one in output.getvalue() if not (one.isprintable() or one == "\n")]


def test_a_line_for_scripts_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo("a\nb\x1b[31m")
    assert capsys.readouterr().out == "a\\nb\\x1b[31m\n"
