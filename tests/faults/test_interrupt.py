"""Ctrl-C in a terminal reaches the whole process group, Prefect's embedded server included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.project import PARAMS, Project, project

__all__ = ["project"]


def test_ctrl_c_ends_the_night_its_workers_and_its_server_at_once(project: Project) -> None:
    (project.folder / "params.yaml").write_text(PARAMS.replace("iterations: 4", "iterations: 1000000"))
    project.prompts("one,portrait,one line,style,", "two,portrait,two lines,style,")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any("adapting, step" in line for line in lines)
        children = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        pressed = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.monotonic() - pressed < 30
    assert "Stopped. Finished domains are kept; nada run goes on with the others." in out
    assert "Traceback" not in out + err
    assert len(children) >= 3  # two workers and the server
    assert [pid for pid in children if Path(f"/proc/{pid}").exists()] == []
    assert [path.name for path in (project.folder / "weights" / "adapted").iterdir()] == ["_parents"]


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        children = task / "children"
        found += [int(child) for child in children.read_text().split()]
    return found + [below for child in found for below in descendants(child)]
