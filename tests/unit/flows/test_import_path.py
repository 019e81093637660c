"""No process of ours takes a project's own `tasks/` or `flows.py` for nada's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import write_own_tasks

ROOT = Path(__file__).parents[3]
FROM_A_PROCESS_OF_OURS = """
import subprocess, sys
import flows
done = subprocess.run([sys.executable, "-c", "import tasks; print(tasks.__file__)"], capture_output=True, text=True)
print(flows.__file__, done.stdout, done.stderr)
"""


@pytest.mark.parametrize("first", ["", "."], ids=["the working folder last", "the working folder in PYTHONPATH"])
def test_what_ours_starts_looks_for_nada_where_it_is_installed(tmp_path: Path, first: str) -> None:
    write_own_tasks(tmp_path)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), first])}
    environment.pop("PYTHONSAFEPATH", None)
    command = [sys.executable, "-c", FROM_A_PROCESS_OF_OURS]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(ROOT / "flows" / "__init__.py"), str(ROOT / "tasks" / "__init__.py")], (
        done.stderr
    )


def test_the_folder_of_a_checkout_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.import_path import settle_import_path

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(ROOT), "/elsewhere"])
    settle_import_path()
    assert sys.path == [str(ROOT), "/elsewhere"]


def test_another_working_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.import_path import settle_import_path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), "/elsewhere"])
    settle_import_path()
    assert sys.path == ["/elsewhere", "", str(tmp_path)]
