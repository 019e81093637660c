"""A night whose judge has an Inception: FID and KID are in the report, in MLflow and among the metrics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.networks import write_inception
from tests.project import PARAMS, SKETCH, Project

NUM = 4  # an Inception costs a fifth of a second a picture
TO_TRUTH = ("inception_frechet_to_reference", "inception_frechet_source_to_reference", "inception_kid_to_reference")

pytestmark = [
    pytest.mark.usefixtures("prefect_server"),
    # Prefect 3.8 defines a column type in a way that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:Type object <class 'prefect"),
]


def test_fid_and_kid_are_in_report_mlflow_and_metrics(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    store = f"sqlite:///{project.folder / '.mlflow' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    write_inception(project.folder / "inception.pth")
    judge = f"  num_images: {NUM}\n  inception: inception.pth\n"
    Path("params.yaml").write_text(PARAMS.replace("  num_images: 16\n", judge))
    project.prompts(SKETCH)
    outcome = project.nada("run")
    assert outcome.status == 0, outcome
    assert "FID to truth" in outcome.out and "KID to truth" in outcome.out

    metrics = json.loads(Path("reports/metrics.json").read_text())
    scores = metrics["domains"]["sketch"]
    drift = "inception_frechet_drift_from_source"
    for name in (*TO_TRUTH, drift):
        low, high = metrics["intervals"]["sketch"][name]
        assert low <= scores[name] <= high
        assert metrics["mean"][name] == scores[name]

    client = MlflowClient(store)
    (experiment,) = client.search_experiments(filter_string="name = 'nada'")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`nada.domain` = 'sketch'")
    for name in (*TO_TRUTH, drift):
        assert run.data.metrics[name] == pytest.approx(scores[name])
    for name in ("inception_frechet_to_reference", "inception_kid_to_reference"):
        assert run.data.metrics[f"{name}/low"] == pytest.approx(metrics["intervals"]["sketch"][name][0])

    (page,) = Path("reports").glob("20*/index.html")
    html = page.read_text()
    table = html[html.index('<table class="board">') : html.index("</table>")]
    card = html[html.index('<dl class="scores">') : html.index('<details class="change')]
    assert ">FID to truth</button>" in table  # the others are on the card
    for label, against in {
        "FID to truth": "8 images of the target domain",
        "KID to truth": "8 images of the target domain",
        "drift by Inception": f"{NUM} samples of the source generator",
    }.items():
        (tip,) = [part for part in card.split("<dt>") if f">{label}</button>" in part]
        assert f"Against: {against}. {NUM} pictures, by Inception-v3-2048@" in tip
    assert f"from {scores['inception_frechet_source_to_reference']:.1f}</small>" in table
