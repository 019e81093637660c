"""dvc.yaml names files and keys that exist, and nothing in DVC's set-up phones home."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc_render.vega_templates import TEMPLATES

from tasks.config.model import Params
from tasks.config.project import HERE
from tasks.report import metrics

ROOT = Path(__file__).parents[3]
STAGES: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())


def resolve(text: str) -> str:
    """`${section.key}` as DVC fills it in."""

    def value(match: re.Match[str]) -> str:
        section, key = match[1].split(".")
        return str(PARAMS[section][key])

    return re.sub(r"\$\{(.+?)\}", value, text)


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_is_in_params_yaml(stage: str) -> None:
    for name in STAGES[stage]["params"]:
        section, _, key = name.partition(".")
        assert section in PARAMS
        assert not key or key in PARAMS[section]


def test_everything_that_decides_a_row_is_a_parameter_of_the_night() -> None:
    watched = {name.partition(".")[0] for stage in STAGES.values() for name in stage["params"]}
    assert watched == set(Params.model_fields)


@pytest.mark.parametrize("stage", STAGES)
def test_every_dependency_is_a_file_of_the_project_or_made_by_a_stage(stage: str) -> None:
    made = {str(out) for other in STAGES.values() for out in other["outs"]}
    for name in map(resolve, STAGES[stage]["deps"]):
        assert name in made or (ROOT / name).exists(), name


def test_outputs_are_where_the_code_writes_them() -> None:
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
