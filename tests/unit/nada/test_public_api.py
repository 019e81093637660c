"""`import nada` costs nothing and offers what a newcomer needs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import nada


def imports_for_type_checkers() -> dict[str, str]:
    """Name -> module, as `if TYPE_CHECKING` in the package imports them."""
    tree = ast.parse(Path(nada.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    imported = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imported for alias in node.names}


def test_importing_the_package_imports_nothing_of_it_and_no_torch() -> None:
    code = "import sys, nada; print(sorted(m for m in sys.modules if m.split('.')[0] in ('nada', 'torch', 'pydantic')))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['nada']"


@pytest.mark.parametrize("name", nada.__all__)
def test_a_name_is_what_its_module_and_type_checkers_say(name: str) -> None:
    assert getattr(nada, name) is getattr(import_module(imports_for_type_checkers()[name]), name)
    assert name in dir(nada)


def test_type_checkers_see_no_other_names() -> None:
    assert sorted(imports_for_type_checkers()) == sorted(nada.__all__) == sorted(nada._MODULES)


def test_everything_can_be_imported_at_once() -> None:
    names: dict[str, object] = {}
    exec("from nada import *", names)
    assert set(nada.__all__) <= set(names)


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match=r"^module 'nada' has no attribute 'Adaptaton'$"):
        nada.Adaptaton  # type: ignore[attr-defined]  # noqa: B018
