"""The hash of a half's code changes with everything that the half runs, and with nothing else."""

from __future__ import annotations

import ast
import itertools
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nada.generators.families import FAMILIES
from nada.methods.registry import METHODS, find_method
from tasks.keys import code
from tasks.keys.code import PACKAGES, ROOT, closure, closure_hash, code_hash, outside
from tasks.keys.inputs import making_code
from tasks.keys.source_digest import read_source
from tests.mutations import MUTABLE, Mutant, computing, harmless, mutate, with_other_bodies, with_other_constants

ENTRIES = ["nada.methods.adapt.loop"]
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in closure(ENTRIES).items()}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The project's packages in a folder that a test may change."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test may write its own list of equal code."""
    monkeypatch.setattr(code, "EQUAL_CODE", tmp_path / "equal_code.json")
    return tmp_path / "equal_code.json"


def write(root: Path, sources: dict[str, str]) -> Path:
    for name, text in sources.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def sha256(text: str) -> str:
    return read_source(text, outside).sha256


@pytest.mark.parametrize("mutants", [with_other_constants, with_other_bodies])
def test_every_constant_and_every_function_of_a_half_is_in_its_hash(mutants: Callable[[str], Iterator[Mutant]]) -> None:
    num_mutants, unseen = 0, []
    for name, text in SOURCES.items():
        before = sha256(text)
        for line, mutant in mutants(text):
            num_mutants += 1
            unseen += [f"{name}:{line}"] if sha256(mutant) == before else []
    assert not unseen
    assert num_mutants > len(SOURCES)


@given(st.data())
def test_any_change_of_what_a_half_computes_is_in_its_hash(data: st.DataObject) -> None:
    text = SOURCES[data.draw(st.sampled_from(sorted(SOURCES)))]
    tree = ast.parse(text)
    nodes = [node for node in computing(tree) if isinstance(node, MUTABLE)]
    mutate(data.draw(st.sampled_from(nodes)))
    assert sha256(ast.unparse(ast.fix_missing_locations(tree))) != sha256(text)


def test_a_change_of_any_module_of_a_half_is_in_the_hash_of_its_tree(copied: Path) -> None:
    hashes = {closure_hash(ENTRIES), closure_hash(ENTRIES, copied)}
    assert len(hashes) == 1
    for name, path in closure(ENTRIES, copied).items():
        path.write_text(f"{SOURCES[name]}\nMUTATED = 0\n", encoding="utf-8")
        assert closure_hash(ENTRIES, copied) not in hashes, name
        hashes.add(closure_hash(ENTRIES, copied))


def test_it_counts_which_module_holds_the_code(tmp_path: Path) -> None:
    write(tmp_path, {"tasks/a.py": "X = 1", "tasks/b.py": "X = 1"})
    assert closure_hash(["tasks.a"], tmp_path) != closure_hash(["tasks.b"], tmp_path)


def test_docstrings_comments_types_messages_and_layout_change_no_hash(copied: Path) -> None:
    for name, path in closure(ENTRIES, copied).items():
        path.write_text(harmless(SOURCES[name]), encoding="utf-8")
    assert closure_hash(ENTRIES, copied) == closure_hash(ENTRIES)


def test_no_other_file_is_in_the_hash(copied: Path) -> None:
    """Among them the settings, the registry, the errors, and the packages that modules of the half lie in."""
    others = {*copied.rglob("*.py")} - {*closure(ENTRIES, copied).values()}
    assert {copied / "nada/errors.py", copied / "nada/methods/adapt/config.py", copied / "nada/__init__.py"} <= others
    for path in others:
        path.write_text("from nada.judge import scores\n\n\ndef f():\n    return 0\n", encoding="utf-8")
    write(copied, {"nada/methods/other/__init__.py": "", "nada/clip/other.py": "", "tasks/empty.py": ""})
    assert closure_hash(ENTRIES, copied) == closure_hash(ENTRIES)


@pytest.mark.parametrize(
    ("text", "reached"),
    [
        ("from nada.clip import losses", {"nada.clip.losses"}),
        ("import nada.clip.losses", {"nada.clip.losses"}),
        ("import nada.clip", {"nada.clip", "nada.latents"}),
        ("from nada.clip import mean", {"nada.clip", "nada.latents"}),
        ("from nada.clip import *", {"nada.clip", "nada.latents"}),
        ("def f():\n  from nada import latents", {"nada.latents"}),
        ("try:\n  from nada import latents\nexcept ImportError: pass", {"nada.latents"}),
        ("if TYPE_CHECKING:\n  from nada import latents", set()),
        ("from nada.errors import NadaError", set()),
        ("from nada.methods.adapt import config, registry", set()),
        ("from nada.methods.adapt.config import AdaptConfig", set()),
        ("import tasks.config.model", set()),
        ("import torch\nfrom numpy import nada", set()),
        ("from nada import entry", set()),
    ],
)
def test_imports_are_followed(tmp_path: Path, text: str, reached: set[str]) -> None:
    empty = ["__init__", "latents", "methods/__init__", "methods/adapt/__init__", "clip/losses"]
    write(tmp_path, {f"nada/{name}.py": "" for name in empty})
    for name in ("nada/errors", "nada/methods/adapt/config", "nada/methods/adapt/registry", "tasks/config/model"):
        write(tmp_path, {f"{name}.py": "from nada import latents"})
    write(tmp_path, {"nada/clip/__init__.py": "from nada.latents import mean", "nada/entry.py": text})
    assert {*closure(["nada.entry"], tmp_path)} == {"nada.entry", *reached}


def test_the_package_of_an_entry_counts_wherever_it_lies(tmp_path: Path) -> None:
    making = "import mine.other\nfrom mine.dream import inner\nfrom nada import errors, latents"
    write(tmp_path, {"mine/dream/making.py": making, "mine/dream/inner.py": "X = 1"})
    write(tmp_path, {"mine/other.py": "", "nada/latents.py": "", "nada/errors.py": ""})
    assert {*closure(["mine.dream.making"], tmp_path)} == {"mine.dream.making", "mine.dream.inner", "nada.latents"}
    before = closure_hash(["mine.dream.making"], tmp_path)
    write(tmp_path, {"mine/other.py": "X = 2"})
    assert closure_hash(["mine.dream.making"], tmp_path) == before
    write(tmp_path, {"mine/dream/inner.py": "X = 2"})
    assert closure_hash(["mine.dream.making"], tmp_path) != before


def test_the_order_of_entries_and_their_number_do_not_count() -> None:
    both = [*ENTRIES, "nada.generators.stylegan2"]
    assert code_hash(both) == code_hash([*reversed(both), *ENTRIES]) != code_hash(ENTRIES)
    assert "nada.generators.stylegan2_ops" in closure(both)


@pytest.mark.parametrize(
    "name",
    ["nada.methods.mapper.config", "nada.generators.registry", "nada.generators.families", "tasks.config", "os.path"],
)
def test_modules_of_settings_and_registries_are_outside_whoever_adds_them(name: str) -> None:
    assert outside(name)


@pytest.mark.parametrize("name", ["nada.clip.goal", "nada.configuration", "tasks.download.registry", "nada.methods"])
def test_other_modules_of_ours_are_not(name: str) -> None:
    assert not outside(name)


@pytest.mark.parametrize("entries", [[], ["nada.errors"], ["nada.no_such_module"]])
def test_entries_that_run_nothing_are_a_bug(entries: list[str]) -> None:
    with pytest.raises(AssertionError):
        code_hash(entries)


def test_planning_loads_nothing_heavy_to_hash_code() -> None:
    program = f"import sys, tasks.keys.code as code; code.code_hash({ENTRIES}); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "pydantic", "prefect"} & {*ran.stdout.split()}


def test_code_on_record_as_equal_has_the_hash_of_the_oldest(recorded: Path) -> None:
    oldest, older, now = "0" * 64, "1" * 64, closure_hash(ENTRIES)
    groups = [{"hashes": [oldest, older, now], "evidence": "weights of 3 rows"}]
    recorded.write_text(json.dumps(groups))
    assert code_hash(ENTRIES) == oldest
    assert code_hash(["nada.hashing"]) == closure_hash(["nada.hashing"])


@pytest.mark.parametrize(
    "groups",
    [
        [{"hashes": ["0" * 64, "1" * 64], "evidence": " "}],
        [{"hashes": ["0" * 64, "1" * 64], "evidence": "ran", "by": "me"}],
        [{"hashes": ["0" * 64], "evidence": "ran"}],
        [{"hashes": ["0" * 64, "1"], "evidence": "ran"}],
        [{"hashes": ["0" * 64, "0" * 64], "evidence": "ran"}],
        [{"hashes": ["0" * 64, digit * 64], "evidence": "ran"} for digit in "12"],
    ],
)
def test_a_mistake_in_the_record_of_equal_code_is_a_bug(recorded: Path, groups: list[dict[str, object]]) -> None:
    recorded.write_text(json.dumps(groups))
    with pytest.raises(AssertionError, match=re.escape(str(recorded))):
        code_hash(ENTRIES)


def test_the_record_of_equal_code_is_sound_and_installed_with_the_package() -> None:
    assert code_hash(ENTRIES)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "*.json" in project["tool"]["setuptools"]["package-data"]["tasks.keys"]


def test_what_is_on_record_as_equal_is_the_code_of_rows_that_are_made_today() -> None:
    """A hash of other modules than a row's proves nothing; one of code that went is to go, or to be proved anew."""
    methods, families = map(find_method, METHODS), [family.module for family in FAMILIES.values()]
    ways = itertools.product(methods, families, (False, True))
    today = {making_code(method, module, by_pictures=by_pictures) for method, module, by_pictures in ways}
    for group in json.loads(code.EQUAL_CODE.read_text(encoding="utf-8")):
        assert group["hashes"][0] in today, group["evidence"]
