"""A row appended to the CSV: checked first, the rest byte for byte as it was."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from nada.errors import PromptsError
from tasks.config.params import load_params
from tasks.status.writer import StatusWriter
from tasks.store.locks import only_night
from tests.project import Project, project

__all__ = ["project"]

PLAIN = "domain,source,target\nsketch,portrait,pencil sketch\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PLAIN, PLAIN + "blue-ink,portrait,blue ink\n"),
        (PLAIN.rstrip("\n"), PLAIN + "blue-ink,portrait,blue ink\n"),
        (PLAIN.replace("\n", "\r\n"), (PLAIN + "blue-ink,portrait,blue ink\n").replace("\n", "\r\n")),
        ("\ufeff" + PLAIN, "\ufeff" + PLAIN + "blue-ink,portrait,blue ink\n"),
        ("source,domain,target\nx,a,y\n", "source,domain,target\nx,a,y\nportrait,blue-ink,blue ink\n"),
    ],
)
def test_a_row_is_appended_and_the_rest_stays_to_the_byte(project: Project, before: str, after: str) -> None:
    path = project.folder / "prompts.csv"
    path.write_bytes(before.encode())
    outcome = project.nada("add", "portrait -> blue ink")
    assert (outcome.status, outcome.err) == (0, "")
    assert path.read_bytes().decode() == after


def test_a_column_that_the_header_lacks_is_added_to_it_alone(project: Project) -> None:
    path = project.folder / "prompts.csv"
    path.write_text("domain,source,target,,\nsketch,portrait,pencil sketch,,\n")
    assert project.nada("add", "portrait -> ink", "--tries", "2", "--priority", "3").status == 0
    assert path.read_text().splitlines() == [
        "domain,source,target,tries,priority",
        "sketch,portrait,pencil sketch,,",
        "ink,portrait,ink,2,3",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["portrait"], "'portrait': no source and target; write 'a portrait -> a pencil sketch'"),
        (["portrait -> robot"], "prompts.csv:4: domain 'robot' is already on line 3; each domain has one row"),
        (["portrait -> ink", "--recipe", "stile"], "prompts.csv:4: unknown recipe 'stile'; did you mean 'style'?"),
        (["portrait -> ink", "--on", "rob"], "prompts.csv:4: 'on' is 'rob', which is no domain here"),
    ],
)
def test_a_row_that_cannot_be_is_refused_and_nothing_is_written(
    project: Project, arguments: list[str], said: str
) -> None:
    before = (project.folder / "prompts.csv").read_bytes()
    outcome = project.nada("add", *arguments)
    assert outcome.status == 2
    assert outcome.err.startswith(said)
    assert (project.folder / "prompts.csv").read_bytes() == before
    assert not list(project.folder.glob("*.partial"))


def test_problems_of_other_rows_name_the_csv_itself(project: Project) -> None:
    from tasks.live.adding import append_row

    path = Path("prompts.csv")
    path.write_text("domain,source,target\nBAD NAME,x,y\n")
    with pytest.raises(PromptsError) as caught:
        append_row(path, load_params(Path("params.yaml")), {"source": "x", "target": "z"})
    assert str(caught.value).startswith("prompts.csv:2: 'domain' is 'BAD NAME'")


def test_a_target_without_latin_letters_asks_for_a_name(project: Project) -> None:
    before = Path("prompts.csv").read_bytes()
    outcome = project.nada("add", "portrait -> \u6728\u70ad")
    assert (outcome.status, Path("prompts.csv").read_bytes()) == (2, before)
    assert outcome.err.startswith("--domain: no name can be made of '\u6728\u70ad'; give one") and "\n" in outcome.err
    assert project.nada("add", "portrait -> \u6728\u70ad", "--domain", "charcoal").status == 0


@pytest.mark.parametrize(
    ("takes_from", "said"),
    [
        ("prompts.csv", "The night that runs takes it up: nada status"),
        ("others.csv", "The night that runs leaves it to the next one."),
        (None, "The night that runs leaves it to the next one."),
    ],
)
def test_a_night_of_another_csv_or_of_some_domains_alone_is_not_said_to_take_a_row_up(
    project: Project, takes_from: str | None, said: str
) -> None:
    with only_night():
        StatusWriter("night", datetime.now().astimezone(), 2, takes_from=takes_from)
        outcome = project.nada("add", "portrait -> ink")
    assert (outcome.status, outcome.out.splitlines()[-1]) == (0, said), outcome
