"""The key changes with everything that decides a result, and with nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nada
from nada.errors import CheckpointError
from tasks.config.model import Params
from tasks.config.prompts import Row
from tasks.plan import keys
from tasks.plan.keys import clip_hashes, reference_hash, row_key
from tasks.row.job import resolve_adapt, resolve_seed

ROW = Row(line=2, domain="sketch", source="a portrait", target="a sketch", recipe="style")


def content(folder: Path) -> dict[str, Any]:
    (folder / "judge.safetensors").write_bytes(b"judge")
    (folder / "guide.safetensors").write_bytes(b"guide")
    return {
        "night": {},
        "generator": {"weights": "g.safetensors"},
        "guide": {
            "config_dir": str(folder),
            "models": [{"name": "guide", "weights": str(folder / "guide.safetensors")}],
        },
        "judge": {"model": {"name": "judge", "weights": str(folder / "judge.safetensors")}},
        "recipes": {"style": {"iterations": 200}, "same": {"iterations": 200}, "long": {"iterations": 900}},
    }


def key(values: dict[str, Any], row: Row = ROW, generator: str = "g", references: str | None = None) -> str:
    params = Params.model_validate(values)
    return row_key(row, resolve_adapt(row, params), params, generator, clip_hashes(params), references)


Edit = Callable[[dict[str, Any]], object]


def with_inception(values: dict[str, Any], body: bytes, name: str = "inception.pth") -> None:
    path = Path(values["guide"]["config_dir"]) / name
    path.write_bytes(body)
    values["judge"].update(inception=str(path))


CHANGES: dict[str, Edit] = {
    "iterations of the recipe": lambda c: c["recipes"]["style"].update(iterations=201),
    "learning rate": lambda c: c.update(adapt={"learning_rate": 0.01}),
    "selection": lambda c: c["recipes"]["style"].update(selection={"k": 3}),
    "batch size": lambda c: c.update(adapt={"batch_size": 3}),
    "batch size of the selection": lambda c: c.update(adapt={"selection": {"batch_size": 3}}),
    "seed of the night": lambda c: c["night"].update(seed=1),
    "views": lambda c: c["guide"].update(views={"noise": 0.05}),
    "antialias": lambda c: c["guide"].update(antialias=False),
    "share of a guide": lambda c: c["guide"]["models"][0].update(weight=0.5),
    "number of judged images": lambda c: c["judge"].update(num_images=7),
    "truncation of the samples": lambda c: c.update(samples={"truncation_psi": 0.5}),
    "bytes of the guide": lambda c: Path(c["guide"]["models"][0]["weights"]).write_bytes(b"other"),
    "bytes of the judge": lambda c: Path(c["judge"]["model"]["weights"]).write_bytes(b"other"),
    "architecture of the guide": lambda c: (Path(c["guide"]["config_dir"]) / "guide.json").write_text("{}"),
    "rounding to float16": lambda c: c["night"].update(storage="fp16"),
    "Inception beside the judge": lambda c: c["judge"].update(inception="web"),
    "LPIPS beside the judge": lambda c: c["judge"].update(lpips="web"),
    "bytes of the Inception": lambda c: with_inception(c, b"other"),
    "tag of the guide": lambda c: c["guide"]["models"][0].update(weights="openai"),
}

NO_CHANGES: dict[str, Edit] = {
    "device": lambda c: c["night"].update(device="cpu"),
    "workers": lambda c: c["night"].update(workers=3),
    "whole files for differences": lambda c: c["night"].update(storage="full"),
    "time limit": lambda c: c["night"].update(row_timeout_minutes=3),
    "micro-batch": lambda c: c["night"].update(micro_batch=1),
    "states": lambda c: c["night"].update(checkpoint_minutes=0.5),
    "batch size of the judge": lambda c: c["judge"].update(batch_size=3),
    "another recipe": lambda c: c["recipes"]["long"].update(iterations=3),
    "default recipe of the night": lambda c: c["night"].update(recipe="long"),
    "name of the source's file": lambda c: c["generator"].update(weights="elsewhere/g.safetensors"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_decides_the_result_changes_the_key(tmp_path: Path, name: str) -> None:
    values = content(tmp_path)
    before = key(values)
    CHANGES[name](values)
    assert key(values) != before


@pytest.mark.parametrize("name", NO_CHANGES)
def test_what_does_not_decide_the_result_keeps_the_key(tmp_path: Path, name: str) -> None:
    values = content(tmp_path)
    before = key(values)
    NO_CHANGES[name](values)
    assert key(values) == before


def test_prompts_iterations_seed_generator_and_references_change_the_key(tmp_path: Path) -> None:
    values = content(tmp_path)
    changed = [
        replace(ROW, domain="other"),
        replace(ROW, source="a face"),
        replace(ROW, target="a drawing"),
        replace(ROW, iterations=5),
        replace(ROW, seed=5),
        replace(ROW, recipe="long"),
    ]
    others = {key(values, generator="other"), key(values, references="a"), key(values, references="b")}
    keys = {key(values), *others, *(key(values, row) for row in changed)}
    assert len(keys) == 1 + 3 + len(changed)


def test_line_recipe_name_and_a_seed_equal_to_the_nights_keep_the_key(tmp_path: Path) -> None:
    values = content(tmp_path)
    assert key(values, replace(ROW, line=9, recipe="same", seed=0, iterations=200)) == key(values)


def test_the_key_is_a_sha256_and_the_same_every_time(tmp_path: Path) -> None:
    values = content(tmp_path)
    assert key(values) == key(values)
    assert len(key(values)) == 64


def test_references_count_by_content_and_not_by_place(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_bytes(b"picture")
    first, second = (reference_hash(str(tmp_path / name)) for name in ("a", "b"))
    assert first == second
    (tmp_path / "b" / "0.png").write_bytes(b"another")
    assert reference_hash(str(tmp_path / "b")) != first


@pytest.fixture
def method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the method's sources, hashed in place of the real ones."""
    folder = tmp_path / "nada"
    shutil.copytree(Path(nada.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("nada.__file__", str(folder / "__init__.py"))
    yield folder
    keys.method_hash.cache_clear()


def hash_after(edit: Path) -> str:
    edit.parent.mkdir(exist_ok=True)
    edit.write_text("edited = True\n")
    keys.method_hash.cache_clear()
    return keys.method_hash()


@pytest.mark.parametrize("name", ["adapt.py", "generator.py", "judge/scores.py", "new.py", "losses/checkpoints.py"])
def test_an_edit_of_the_method_changes_the_key(method: Path, name: str) -> None:
    (method / "losses").mkdir()
    keys.method_hash.cache_clear()
    before = keys.method_hash()
    assert hash_after(method / name) != before


@pytest.mark.parametrize("name", ["checkpoints/canonical.py", "checkpoints/new.py", "errors.py", "hashing.py"])
def test_an_edit_of_how_files_are_read_and_written_keeps_the_key(method: Path, name: str) -> None:
    keys.method_hash.cache_clear()
    before = keys.method_hash()
    assert hash_after(method / name) == before


def test_the_method_uses_nothing_that_its_hash_leaves_out_but_errors_and_files() -> None:
    """Code that computes must not move where an edit of it goes unseen."""
    folder = Path(nada.__file__).parent
    assert all((folder / name).exists() for name in keys.NOT_THE_METHOD)
    hashed = [path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in keys.NOT_THE_METHOD]
    assert len(hashed) > 15
    for path in hashed:
        assert "nada.checkpoints" not in path.read_text(encoding="utf-8"), path


def test_weights_of_the_inception_count_by_content_and_not_by_place(tmp_path: Path) -> None:
    values = content(tmp_path)
    keys = []
    for body, name in ((b"one", "a.pth"), (b"one", "b.pth"), (b"two", "b.pth")):
        with_inception(values, body, name)
        keys.append(key(values))
    assert keys[0] == keys[1] != keys[2]


def test_missing_clip_weights_are_a_checkpoint_error(tmp_path: Path) -> None:
    values = content(tmp_path)
    (tmp_path / "judge.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"judge.safetensors: cannot be read \(No such file or directory\)"):
        clip_hashes(Params.model_validate(values))


def test_a_row_resolves_recipe_then_its_own_iterations_and_seed(tmp_path: Path) -> None:
    params = Params.model_validate({**content(tmp_path), "night": {"seed": 4}})
    row = replace(ROW, recipe="long")
    assert (resolve_adapt(row, params).iterations, resolve_seed(row, params)) == (900, 4)
    row = replace(row, iterations=7, seed=8)
    assert (resolve_adapt(row, params).iterations, resolve_seed(row, params)) == (7, 8)
