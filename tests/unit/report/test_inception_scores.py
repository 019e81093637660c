"""FID and KID are seen wherever scores are, with what they are against, once an Inception judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.tables import leaderboard_table
from tasks.report.metrics import leaderboard, write_metrics
from tasks.report.page import Night, write_report
from tasks.report.score_catalogue import MAIN_SCORES
from tasks.store.record import Record, ScoreEntry
from tasks.tracking.entities import final_points
from tests.records import make_record

TRUTH, SOURCE = "8 images of the target domain", "16 samples of the source generator"
FIGURES = {
    "inception_frechet_to_reference": (41.26, TRUTH),
    "inception_frechet_source_to_reference": (88.04, f"{TRUTH}, from {SOURCE}"),
    "inception_kid_to_reference": (0.0123, TRUTH),
    "inception_frechet_drift_from_source": (65.5, SOURCE),
    "inception_kid_drift_from_source": (0.0456, SOURCE),
}
COMMON = {"retrieval_accuracy": 0.9, "directional_similarity": 0.5, "structure_ratio": 0.8}


def judged(by_inception: bool) -> Record:
    scores = {
        name: ScoreEntry(
            value=value,
            low=value * 0.9,
            high=value * 1.1,
            reference=reference,
            num_images=16,
            network="Inception-v3-2048@1f",
            resizing="bilinear",
        )
        for name, (value, reference) in FIGURES.items()
    }
    return make_record(nearest={"a pencil sketch": 1}, scores={**COMMON, **(scores if by_inception else {})})


def page_of(record: Record, folder: Path) -> str:
    night = Night(name="Night", started="2026-01-01T00:00:00", seconds=1, workers="")
    return write_report([record], night, folder / "index.html", folder).read_text()


def test_fid_and_kid_follow_the_distance_to_truth_by_clip() -> None:
    names = [meaning.name for meaning in MAIN_SCORES]
    first = names.index("frechet_to_reference")
    assert names[first + 1 : first + 3] == ["inception_frechet_to_reference", "inception_kid_to_reference"]


def test_the_reports_table_has_fid_and_kid_with_where_the_row_began(tmp_path: Path) -> None:
    html = page_of(judged(by_inception=True), tmp_path)
    table = html[html.index('<table class="board">') : html.index("</table>")]
    for label in ("FID to truth", "KID to truth", "drift by Inception"):
        assert f">{label}</button>" in table
    assert '<span class="fell">41.3</span> <small>±4.1</small> <small>from 88.0</small>' in table
    assert "0.0123</span> <small>±0.0012</small>" in table


def test_the_reports_card_says_what_each_is_against_and_which_network_measured_it(tmp_path: Path) -> None:
    html = page_of(judged(by_inception=True), tmp_path)
    card = html[html.index('<dl class="scores">') : html.index('<details class="change')]
    for label, against in {
        "FID to truth": TRUTH,
        "KID to truth": TRUTH,
        "drift by Inception": SOURCE,
        "kernel drift by Inception": SOURCE,
    }.items():
        (tip,) = [part for part in card.split("<dt>") if f">{label}</button>" in part]
        assert f"Against: {against}. 16 pictures, by Inception-v3-2048@1f. 95% interval" in tip


def test_without_an_inception_no_column_is_empty(tmp_path: Path) -> None:
    html = page_of(judged(by_inception=False), tmp_path)
    assert "FID" not in html and "by Inception" not in html
    assert shown_in_a_terminal(judged(by_inception=False)).count("to truth") == 0


def shown_in_a_terminal(record: Record) -> str:
    console = Console(width=400)
    with console.capture() as captured:
        console.print(leaderboard_table(leaderboard([record]), {}, {}))
    return captured.get()


def test_the_terminals_table_has_fid_and_kid() -> None:
    shown = shown_in_a_terminal(judged(by_inception=True))
    assert "FID to truth" in shown and "KID to truth" in shown
    assert "41.3 ±4.1 (from 88.0)" in shown


def test_metrics_and_mlflow_have_fid_and_kid_with_their_intervals(tmp_path: Path) -> None:
    record = judged(by_inception=True)
    write_metrics([record], {}, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    points = {name: value for name, value, *_ in final_points(record, when=0)}
    for name in (
        "inception_frechet_to_reference",
        "inception_frechet_source_to_reference",
        "inception_kid_to_reference",
        "inception_frechet_drift_from_source",
    ):
        value = FIGURES[name][0]
        assert metrics["domains"]["sketch"][name] == metrics["mean"][name] == points[name] == value
        assert metrics["intervals"]["sketch"][name] == pytest.approx([value * 0.9, value * 1.1])
    assert points["inception_kid_to_reference/high"] == pytest.approx(0.0123 * 1.1)
