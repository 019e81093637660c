"""What `nada bench` measures, and what it makes of that."""

from __future__ import annotations

import json
import os

import pytest

from flows.cli.bench.commands import line
from nada.errors import NadaError
from tasks.bench.bench import NIGHT_ROWS, Night, Result, machine, run_case
from tasks.bench.case import CASES, Case, Measured, config_of, measure
from tasks.bench.stopwatch import PHASES, Stopwatch
from tasks.config.params import load_params
from tests.project import Project, project

__all__ = ["project"]

MEASURED = Measured(
    batch_size=4,
    iterations=100,
    import_seconds=3.0,
    load_seconds=2.0,
    first_step_seconds=2.5,
    step_seconds=1.0,
    next_step_seconds=0.75,
    phases={"selection": 0.0, "source": 0.125, "target": 0.25, "embed": 0.25, "backward": 0.25, "update": 0.0625},
    peak_bytes=3 << 29,
)


def test_a_night_is_start_steps_and_judging() -> None:
    night = Night(rows=20, workers=2, judged=400)
    judging = 400 * (0.125 + 0.125) / 4  # of a row: 25 s
    seconds = 5 + 100 * 1.0 + 9 * 100 * 0.75 + 10 * judging
    assert night.seconds(MEASURED) == pytest.approx(seconds) == pytest.approx(1030)
    assert night.domains_per_hour(MEASURED) == pytest.approx(20 * 3600 / 1030)


def test_a_machine_that_tells_no_affinity_has_all_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")  # as off Linux
    assert machine()["cores"] == os.cpu_count()


def test_the_table_has_a_line_a_case() -> None:
    case, night = Case(name="adapt, full", params="params.yaml", steps=5), Night(rows=20, workers=2, judged=400)
    found = line(Result(case=case, measured=MEASURED), night)
    assert found == "| own | adapt, full | 4 | 0 | 0.125 | 0.25 | 0.25 | 0.25 | 0.0625 | 1 | 0.75 | 1.50 | 7.5 | 69.9 |"
    refused = line(Result(case=case, error="adapt: no such file"), night)
    assert "adapt: no such file" in refused and refused.count("|") == found.count("|")


def test_what_a_phase_calls_counts_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    watch, clock = Stopwatch("cpu"), iter([1.0, 4.0])
    monkeypatch.setattr(watch, "now", lambda: next(clock))
    inner = watch.timed(lambda: 7, lambda: "inner")
    assert watch.timed(lambda: inner(), lambda: "outer")() == 7
    assert watch.seconds == {"outer": 3.0}


@pytest.mark.parametrize("name", CASES)
def test_every_case_runs_in_a_project(name: str, project: Project) -> None:
    found = measure(Case(name=name, params="params.yaml", steps=2, batch_size=2))
    assert found.step_seconds >= sum(found.phases.values()) > 0
    assert set(found.phases) == set(PHASES)
    assert (found.phases["selection"] > 0) == name.startswith("adapt")
    assert found.iterations == 300 and (found.peak_bytes or 1) > 0


def test_a_case_changes_its_own_options_alone(project: Project) -> None:
    sections = load_params(project.folder / "params.yaml").methods
    case = Case(name="adapt, k auto", params="params.yaml", steps=4, batch_size=3)
    _, config, iterations = config_of(case, sections)
    assert (config.selection.k, config.batch_size, config.iterations, iterations) == ("auto", 3, 5, 300)
    assert config.model_copy(
        update={"selection": sections["adapt"].selection, "batch_size": 4, "iterations": 300}  # type: ignore[attr-defined]
    ) == sections["adapt"].model_copy(update={"batch_size": 4, "stop": "fixed"})


def test_the_command_prints_every_figure_as_json(project: Project) -> None:
    outcome = project.nada("bench", "--only", "adapt, full", "--steps", "1", "--json")
    assert outcome.status == 0
    (result,) = json.loads(outcome.out)["results"]
    assert result["case"]["name"] == "adapt, full" and result["measured"]["next_step_seconds"] > 0
    assert result["night"]["rows"] == NIGHT_ROWS and result["night"]["domains_per_hour"] > 0


def test_a_case_that_is_not_there_is_refused_by_name(project: Project) -> None:
    outcome = project.nada("bench", "--only", "adpt")
    assert outcome.status == 2
    assert outcome.err.startswith("--only: no case 'adpt'; there are 'adapt, full', 'adapt, k auto'")


def test_what_cannot_be_measured_says_why(project: Project) -> None:
    with pytest.raises(NadaError, match=r"^adapt, full: .*the family is 'stylegan9'"):
        run_case(Case(name="adapt, full", params="params.yaml", steps=1, resolution=16, family="stylegan9"))
