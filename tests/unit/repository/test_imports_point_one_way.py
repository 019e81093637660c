"""flows -> tasks -> nada and never in a circle, each side effect by one door, each method by its registry."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_graph import circles, import_graph, sources

ROOT = Path(__file__).parents[3]
MAY_IMPORT = {"nada": {"nada"}, "tasks": {"nada", "tasks"}, "flows": {"nada", "tasks", "flows"}}
FRAMEWORKS_UNKNOWN_TO_NADA = {"prefect", "mlflow", "dvc", "typer", "rich", "pandas"}
ONLY_DOOR = {
    "mlflow": "tasks/tracking/",
    "open_clip": "nada/clip/open_clip_import.py",
    "ruamel": "tasks/config/yaml_reader.py",
    "ray": "tasks/workers/ray/cluster.py",
}
FORBIDDEN = {"pickle.load", "pickle.loads", "torch.hub.load", "os.system", "eval", "exec"}
MOST_FILES = 14  # of a folder: what one sees at a glance
METHOD, METHOD_FOLDER = "adapt", "nada/methods/adapt/"
KNOW_THE_METHOD = {
    "nada/__init__.py": "the public API",
    "nada/methods/registry.py": "the one line of each method",
    "tasks/store/old_record.py": "records of a version that had no other method",
    "tasks/store/old_rows.py": "likewise",
}
SOURCES = sources(ROOT)


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
        assert framework not in found or name_of(path).startswith(door)
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


def test_nothing_imports_in_a_circle() -> None:
    assert circles(import_graph(ROOT)) == []


GRAPHS = {
    "a circle of three": ("import nada.b", "def f():\n    from nada import c", "from nada.a import x"),
    "for types alone": ("import nada.b", "import nada.c", "if TYPE_CHECKING:\n    import nada.a"),
    "unless for types": ("import nada.b", "import nada.c", "if not TYPE_CHECKING:\n    import nada.a"),
    "otherwise": ("import nada.b", "import nada.c", "if TYPE_CHECKING:\n    pass\nelse:\n    import nada.a"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_circle_is_found_however_it_is_written(name: str, tmp_path: Path) -> None:
    (tmp_path / "nada").mkdir()
    for module, code in zip(("__init__", "a", "b", "c"), ("", *GRAPHS[name]), strict=True):
        (tmp_path / "nada" / f"{module}.py").write_text(code)
    found = [] if name == "for types alone" else [["nada.a", "nada.b", "nada.c"]]
    assert circles(import_graph(tmp_path)) == found


def test_no_folder_holds_more_files_than_one_sees_at_a_glance() -> None:
    files = Counter(path.parent.relative_to(ROOT).as_posix() for path in SOURCES)
    assert {folder: num for folder, num in files.items() if num > MOST_FILES} == {}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_method_is_known_to_its_folder_and_the_registry_alone(path: Path) -> None:
    if name_of(path).startswith(METHOD_FOLDER) or name_of(path) in KNOW_THE_METHOD:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert f"nada.methods.{METHOD}" not in (node.module, *(f"{node.module}.{name.name}" for name in node.names))
            assert not (node.module or "").startswith(f"nada.methods.{METHOD}.")
        elif isinstance(node, ast.Import):
            assert not any(name.name.startswith(f"nada.methods.{METHOD}") for name in node.names)
        elif isinstance(node, ast.Constant):
            assert node.value != METHOD
