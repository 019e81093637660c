"""flows -> tasks -> nada, and each side effect has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAY_IMPORT = {"nada": {"nada"}, "tasks": {"nada", "tasks"}, "flows": {"nada", "tasks", "flows"}}
FRAMEWORKS_UNKNOWN_TO_NADA = {"prefect", "mlflow", "dvc", "typer", "rich", "pandas"}
ONLY_DOOR = {
    "mlflow": "tasks/tracking/mlflow_store.py",
    "open_clip": "nada/clip/open_clip_import.py",
    "ruamel": "tasks/config/yaml_reader.py",
    "ray": "tasks/workers/ray/cluster.py",
}
FORBIDDEN = {"pickle.load", "pickle.loads", "torch.hub.load", "os.system", "eval", "exec"}
SOURCES = sorted(path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """First part of every imported module, also of imports inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            yield (node.module or "").split(".")[0]


def test_the_sources_are_found() -> None:
    assert len(SOURCES) > 20


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert set(imports(path)) & set(MAY_IMPORT) <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_frameworks_enter_by_one_door(path: Path) -> None:
    found = set(imports(path))
    for framework, door in ONLY_DOOR.items():
        assert framework not in found or name_of(path) == door
    if name_of(path).startswith("nada/"):
        assert not found & FRAMEWORKS_UNKNOWN_TO_NADA


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_that_executes_data_is_called(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in FORBIDDEN
            if ast.unparse(node.func) == "torch.load":
                arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert arguments.get("weights_only") == "True"
