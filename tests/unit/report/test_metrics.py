"""The night's scores as files."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nada.errors import OutputError
from tasks.report.charts import confusion as heat_map
from tasks.report.metrics import confusion, leaderboard, write_metrics
from tasks.report.score_catalogue import MAIN_SCORES, SCORES
from tasks.store.record import FileEntry, Record
from tests.records import make_record


def record(domain: str, nearest: dict[str, int] | None = None, files: tuple[str, ...] = (), **scores: float) -> Record:
    making = {"seconds": {"make": 8.0}, "files": {name: FileEntry(sha256="1" * 64, num_bytes=1) for name in files}}
    evaluation = {"seconds": {"load": 0.5, "judge": 4.0}}
    return make_record(domain, f"a {domain}", scores, nearest, width=0.25, making=making, evaluation=evaluation)


def test_the_best_retrieval_comes_first_then_the_best_direction() -> None:
    records = [
        record("c", retrieval_accuracy=0.5, directional_similarity=0.1),
        record("b", retrieval_accuracy=0.9, directional_similarity=0.1),
        record("a", retrieval_accuracy=0.5, directional_similarity=0.3),
    ]
    assert [row["domain"] for row in leaderboard(records)] == ["b", "a", "c"]


def test_a_score_that_a_domain_lacks_is_none() -> None:
    rows = leaderboard([record("a", retrieval_accuracy=1.0), record("b", frechet_to_reference=3.0)])
    assert rows[0]["frechet_to_reference"] is None
    assert rows[1]["frechet_to_reference"] == 3.0


def test_metrics_and_leaderboard_are_written_whole(tmp_path: Path) -> None:
    records = [record("b", retrieval_accuracy=0.5), record("a", retrieval_accuracy=1.0)]
    write_metrics(records, {"c": "NaN at step 3"}, tmp_path / "reports")
    content = json.loads((tmp_path / "reports" / "metrics.json").read_text())
    assert content == {
        "domains": {"a": {"retrieval_accuracy": 1.0}, "b": {"retrieval_accuracy": 0.5}},
        "intervals": {"a": {"retrieval_accuracy": [0.75, 1.25]}, "b": {"retrieval_accuracy": [0.25, 0.75]}},
        "mean": {"retrieval_accuracy": 0.75},
        "num_domains": 2,
        "num_failed": 1,
    }
    assert (tmp_path / "reports" / "leaderboard.csv").read_text() == (
        "domain,source,target,recipe,retrieval_accuracy,retrieval_accuracy_low,retrieval_accuracy_high,seconds\n"
        "a,a portrait,a a,style,1.0,0.75,1.25,12.5\n"
        "b,a portrait,a b,style,0.5,0.25,0.75,12.5\n"
    )
    names = {path.name for path in (tmp_path / "reports").iterdir()}
    assert names == {"metrics.json", "leaderboard.csv", "confusion.csv", "probes.csv"}


def test_a_night_without_a_finished_row_writes_every_file(tmp_path: Path) -> None:
    write_metrics([], {"a": "lost"}, tmp_path)
    assert json.loads((tmp_path / "metrics.json").read_text())["num_failed"] == 1
    assert (tmp_path / "leaderboard.csv").read_text() == "domain\n"
    assert (tmp_path / "confusion.csv").read_text() == "domain,target,prompt,share\n"
    assert (tmp_path / "probes.csv").read_text() == "domain,step,edit,diversity\n"


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "reports").touch()
    with pytest.raises(OutputError, match=r"reports/metrics.json: cannot be written \((File exists|Not a directory)\)"):
        write_metrics([], {}, tmp_path / "reports")


def test_metrics_hold_the_scores_that_come_first_and_the_leaderboard_all(tmp_path: Path) -> None:
    write_metrics([record("a", retrieval_accuracy=1.0, density_drift_from_source=0.5)], {}, tmp_path)
    content = json.loads((tmp_path / "metrics.json").read_text())
    assert content["domains"] == {"a": {"retrieval_accuracy": 1.0}}
    assert "density_drift_from_source,retrieval_accuracy_low" in (tmp_path / "leaderboard.csv").read_text()


def test_the_confusion_matrix_tells_which_prompts_the_pictures_of_a_domain_find(tmp_path: Path) -> None:
    night = [
        record("sepia", {"a sketch, in ink": 1, "a sepia": 3}),
        record("kept", {"a kept": 4}),
        record("older"),
    ]
    assert confusion(night)[1] == {"domain": "sepia", "target": "a sepia", "prompt": "a sepia", "share": 0.75}
    write_metrics(night, {}, tmp_path)
    assert (tmp_path / "confusion.csv").read_text() == (
        "domain,target,prompt,share\n"
        "kept,a kept,a kept,1.0\n"
        "sepia,a sepia,a sepia,0.75\n"
        'sepia,a sepia,"a sketch, in ink",0.25\n'
    )


def test_the_probes_of_all_domains_are_one_table_and_a_damaged_file_costs_only_its_own(tmp_path: Path) -> None:
    chosen = [record(name, files=("probes.csv",)) for name in ("sepia", "lost", "damaged")]
    for name, content in {
        "sepia": "step,edit,similarity,diversity\n20,0.5,0.1,1\n40,0.7,0.2,0.9\n",
        "damaged": "a\n1\n",
        "older": "step,edit,similarity,diversity\n20,0.5,0.1,1\n",  # of a row that leaves none any more
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "probes.csv").write_text(content)
    write_metrics([*chosen, record("older")], {}, tmp_path / "reports", adapted_dir=tmp_path)
    assert (tmp_path / "reports" / "probes.csv").read_text() == (
        "domain,step,edit,diversity\nsepia,20,0.5,1\nsepia,40,0.7,0.9\n"
    )


def test_a_figure_is_shown_with_the_wider_half_of_its_interval() -> None:
    (found,) = [meaning for meaning in MAIN_SCORES if meaning.name == "retrieval_accuracy"]
    assert found.shown(0.98, 0.93, 0.99) == "98% ±5%"
    assert len({meaning.name for meaning in SCORES}) == len(SCORES)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d"])
def test_no_text_of_a_table_is_a_formula_to_a_spreadsheet(tmp_path: Path, start: str) -> None:
    link = f'{start}HYPERLINK("http://evil","x")'
    evil = make_record("a", link, {"directional_similarity": -0.5}, {link: 1})
    write_metrics([evil], {}, tmp_path)
    for name in ("leaderboard.csv", "confusion.csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        assert row["target"] == f"'{link}"
        assert not [cell for cell in row.values() if cell.startswith(link)]
    assert row["prompt"] == f"'{link}"
    with (tmp_path / "leaderboard.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["directional_similarity"] == "-0.5", "a number stays one"


def test_a_row_without_words_has_no_retrieval_and_the_last_place(tmp_path: Path) -> None:
    shown = make_record("shown", target="", scores={"style_similarity": 0.9}, nearest={"a sketch": 3, "a portrait": 1})
    shown = replace(shown, retrieval=shown.retrieval.model_copy(update={"score": None}))
    named = make_record("named", target="a sketch", scores={"retrieval_accuracy": 0.2}, nearest={"a sketch": 4})
    board = leaderboard([shown, named])
    assert [(row["domain"], row["retrieval_accuracy"]) for row in board] == [("named", 0.2), ("shown", None)]
    write_metrics([shown, named], {}, tmp_path)
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["domains"]["shown"] == {"style_similarity": 0.9}
    chart = heat_map([shown, named])
    assert chart is not None and chart["prompts"] == ["a sketch", "a portrait"]
    assert (chart["mistakes"], [cell[3] for cell in chart["cells"]]) == ([], [False, False, True])
