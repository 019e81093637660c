"""Two nights side by side."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nada.errors import ParamsError
from tasks.report.compare import compare, load_night_metrics
from tests.project import Project, project

__all__ = ["project"]


def night(**domains: float) -> dict[str, Any]:
    return {
        "domains": {name: {"retrieval_accuracy": value} for name, value in domains.items()},
        "intervals": {name: {"retrieval_accuracy": [value - 0.05, value + 0.05]} for name, value in domains.items()},
    }


def write(folder: Path, content: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(content))


def test_only_intervals_that_do_not_meet_are_a_change() -> None:
    found = {change.domain: change for change in compare(night(a=0.5, b=0.5, c=0.5), night(a=0.58, b=0.61, d=0.1))}
    assert [found[name].is_clear for name in "abcd"] == [False, True, False, False]
    assert (found["c"].after, found["d"].before) == (None, None)


def test_a_night_without_intervals_changes_nothing_clearly() -> None:
    bare = {"domains": {"a": {"retrieval_accuracy": 0.1}}, "intervals": {}}
    assert [change.is_clear for change in compare(bare, night(a=0.9))] == [False]


def test_nights_are_found_by_folder_by_path_and_as_the_latest(project: Project) -> None:
    write(Path("reports/2026-01-01"), night(a=0.1))
    write(Path("reports"), night(a=0.2))
    assert load_night_metrics("2026-01-01")["domains"]["a"]["retrieval_accuracy"] == 0.1
    assert load_night_metrics("reports/2026-01-01") == load_night_metrics("2026-01-01")
    assert load_night_metrics("now")["domains"]["a"]["retrieval_accuracy"] == 0.2


def test_a_git_revision_is_a_night_too(project: Project) -> None:
    write(Path("reports"), night(a=0.1))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in ([*git, "init", "-q"], [*git, "add", "reports"], [*git, "commit", "-qm", "one"]):
        subprocess.run(command, check=True)
    write(Path("reports"), night(a=0.9))
    outcome = project.nada("compare", "HEAD")
    assert outcome.status == 0
    assert "finds its prompt" in outcome.out and "more" in outcome.out
    assert "1 of 1 scores changed by more than their 95% intervals." in outcome.out


@pytest.mark.parametrize("name", ["nowhere", "--output=x", "../../etc", "a\0b"])
def test_what_is_no_night_is_answered_with_the_nights_that_are(project: Project, name: str) -> None:
    write(Path("reports/2026-01-01"), night(a=0.1))
    with pytest.raises(ParamsError) as err:
        load_night_metrics(name)
    assert str(err.value).endswith("no git revision with reports/metrics.json; nights: 2026-01-01")
    assert not Path("x").exists()


@pytest.mark.parametrize("content", ["[", "[]", "{}", '{"domains": {"a": 1}}'])
def test_damaged_metrics_are_named(project: Project, content: str) -> None:
    Path("reports/broken").mkdir(parents=True)
    Path("reports/broken/metrics.json").write_text(content)
    with pytest.raises(ParamsError, match=r"^reports/broken/metrics.json: not the metrics of a night; run nada report"):
        load_night_metrics("broken")
