"""prefect.yaml deploys the flow that there is, with parameters that it takes."""

from __future__ import annotations

import inspect
from pathlib import Path

import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.schedules import Cron

ROOT = Path(__file__).parents[3]


def test_the_deployment_names_the_night_and_its_parameters() -> None:
    (deployment,) = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    flow = load_flow_from_entrypoint(deployment["entrypoint"])
    assert flow.name == "night"
    assert set(deployment["parameters"]) <= set(inspect.signature(flow.fn).parameters)
    assert Path(deployment["parameters"]["params_path"]) == Path("params.yaml")
    for schedule in deployment["schedules"]:
        assert Cron(schedule["cron"], timezone=schedule["timezone"]).active
