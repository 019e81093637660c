"""What a run of MLflow holds of a record."""

from __future__ import annotations

from pathlib import Path

from tasks.store.record import FileEntry
from tasks.tracking.entities import final_points, hash_tags
from tasks.tracking.recorded_runs import row_id
from tests.records import make_record


def test_seconds_are_told_by_phase_and_loading_for_both_ends_counts_together() -> None:
    record = make_record(
        making={"seconds": {"load": 1.5, "make": 20.0}}, evaluation={"seconds": {"load": 0.25, "judge": 4.0}}
    )
    seconds = {name: value for name, value, *_ in final_points(record, when=0) if name.startswith("seconds/")}
    assert seconds == {"seconds/load": 1.75, "seconds/make": 20.0, "seconds/judge": 4.0, "seconds/total": 25.75}


def test_every_file_of_weights_has_its_path_and_hash_among_the_tags() -> None:
    files = {name: FileEntry(sha256=name[0] * 4, num_bytes=1) for name in ("a.safetensors", "b.safetensors", "c.csv")}
    tags = hash_tags(make_record(making={"files": files}), Path("x"))
    assert tags["nada.weights.path"] == "x/a.safetensors, x/b.safetensors"
    assert tags["nada.weights.sha256"] == "aaaa, bbbb"
    assert "nada.weights.path" not in hash_tags(make_record(making={"files": {}}), Path("x"))


def test_a_run_is_known_by_its_domain_and_how_it_was_made_and_judged() -> None:
    same = make_record(scores={"retrieval_accuracy": 0.1})
    others = [
        make_record("twin"),
        make_record(making={"key": "1" * 64}),
        make_record(evaluation={"key": "1" * 64}),
    ]
    assert row_id(same) == row_id(make_record(scores={"retrieval_accuracy": 0.2}))
    assert len({row_id(same), *map(row_id, others)}) == 4
    assert len(row_id(same)) == 64
