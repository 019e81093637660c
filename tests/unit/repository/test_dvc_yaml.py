"""dvc.yaml names commands and files that exist, and nothing in DVC's set-up phones home."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc_render.vega_templates import TEMPLATES
from typer.testing import CliRunner

from flows.cli.main import app
from tasks.config.project import HERE
from tasks.report import metrics

ROOT = Path(__file__).parents[3]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def names(outs: list[Any]) -> list[str]:
    """Of outputs, with settings or without."""
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def test_what_the_first_stage_writes_each_time_decides_whether_the_others_run() -> None:
    assert STAGES["inputs"]["always_changed"] and "deps" not in STAGES["inputs"]
    assert STAGES["pretrained"]["deps"] == [str(HERE.generators)]
    assert STAGES["prepared"]["deps"] == [str(HERE.preparations), str(HERE.pretrained)]
    assert STAGES["night"]["deps"] == [str(HERE.inputs), str(HERE.pretrained), str(HERE.prepared)]
    assert STAGES["complete"]["deps"] == [str(HERE.inputs), str(HERE.adapted)]
    assert not any("params" in stage for stage in STAGES.values())


def test_every_dependency_is_made_by_a_stage() -> None:
    made = {out for stage in STAGES.values() for out in names(stage.get("outs", []))}
    assert {dep for stage in STAGES.values() for dep in stage.get("deps", [])} <= made


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_a_command_of_nada(stage: str) -> None:
    program, *arguments = STAGES[stage]["cmd"].split()
    assert program == "nada"
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def test_outputs_are_where_the_code_writes_them() -> None:
    assert STAGES["inputs"]["outs"] == [
        {str(path): {"persist": True}} for path in (HERE.inputs, HERE.preparations, HERE.generators)
    ]
    assert STAGES["prepared"]["outs"] == [{str(HERE.prepared): {"persist": True}}]
    assert STAGES["pretrained"]["outs"] == [str(HERE.pretrained)]
    assert STAGES["night"]["outs"] == [{str(HERE.adapted): {"persist": True}}]
    (metric,) = STAGES["night"]["metrics"]
    assert metric == {f"reports/{metrics.METRICS_NAME}": {"cache": False}}
    plotted = [name for plot in STAGES["night"]["plots"] for name in plot]
    assert plotted == [
        f"reports/{name}" for name in (metrics.LEADERBOARD_NAME, metrics.CONFUSION_NAME, metrics.PROBES_NAME)
    ]


@pytest.mark.parametrize("plot", STAGES["night"]["plots"], ids=lambda plot: next(iter(plot)))
def test_every_plot_draws_columns_that_its_file_has_in_a_template_that_is_there(plot: dict[str, Any]) -> None:
    ((name, settings),) = plot.items()
    header = (ROOT / name).read_text().partition("\n")[0].split(",")
    assert {settings["x"], settings["y"]} <= set(header)
    own = ROOT / ".dvc" / "plots" / f"{settings['template']}.json"
    if settings["template"] not in {template.DEFAULT_NAME for template in TEMPLATES}:
        drawn = set(re.findall(r'"field": "(\w+)"', own.read_text()))
        assert drawn - {"rev"} <= set(header)


def test_the_remote_is_inside_the_checkout_and_nothing_is_reported() -> None:
    config = configparser.ConfigParser()
    config.read_string(re.sub(r"(?m)^\s+", "", (ROOT / ".dvc" / "config").read_text()))
    assert config["core"]["analytics"] == config["core"]["check_update"] == "false"
    assert config["core"]["autostage"] == "true"
    assert config["'remote \"local\"'"]["url"] == "../.dvc-remote"
    assert ".dvc-remote" in (ROOT / ".gitignore").read_text()
