"""What a DVC user expects of the project's own dvc.yaml: experiments, metrics, plots. The night costs nothing here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "params.yaml", "prompts.csv")

# One row whose score is the learning rate, and a file that tells how often a row was trained.
NIGHT = """
from pathlib import Path
import yaml
from tasks.report import metrics
from tasks.config.project import HERE
from tasks.store import row_folder
from tests.records import make_record

rate = yaml.safe_load(Path("params.yaml").read_text())["adapt"]["learning_rate"]
key = f"{rate:.5f}".rjust(64, "0")
record = make_record("sketch", scores={"retrieval_accuracy": rate}, making={"key": key})
if not row_folder.is_made(HERE.adapted / "sketch", "sketch", key):
    folder = row_folder.partial_dir("sketch")
    (folder / "generator.safetensors").write_bytes(key.encode() * 100)
    row_folder.write_making(folder, record.making)
    row_folder.publish(folder, "sketch")
metrics.write_metrics([record], {}, Path("reports"))
"""

COMMANDS = {
    "nada inputs": "mkdir -p weights && cp params.yaml weights/inputs.json && cp params.yaml weights/preparations.json"
    " && touch weights/generators.json",
    "nada pretrained": "mkdir -p weights/pretrained && touch weights/pretrained/one",
    "nada prepare": "mkdir -p weights/prepared",
    "nada run --settle": "python night.py",
    "nada complete": "test -f weights/adapted/sketch/row.json",
}
"""Of the stages, and what stands for them here."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout after its first night."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for variable, value in {"NAME": "test", "EMAIL": "test@localhost"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{variable}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{variable}", value)
    folder = tmp_path / "checkout"
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    stages = (ROOT / "dvc.yaml").read_text()
    for command, instead in COMMANDS.items():
        assert f"cmd: {command}\n" in stages
        stages = stages.replace(f"cmd: {command}\n", f"cmd: {instead}\n")
    (folder / "dvc.yaml").write_text(stages)
    (folder / "night.py").write_text(NIGHT)
    call(folder, "git", "init", "--quiet", "--initial-branch", "main")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "first")
    call(folder, "dvc", "repro", "--quiet")
    call(folder, "git", "add", "--all")
    call(folder, "git", "commit", "--quiet", "--message", "night")
    return folder


def call(folder: Path, *command: str) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def rate(folder: Path) -> float:
    metrics = json.loads((folder / "reports" / "metrics.json").read_text())
    return float(metrics["domains"]["sketch"]["retrieval_accuracy"])


def words(page: Path) -> list[str]:
    """Every quoted text of a page, as the data of its plots are."""
    return re.findall(r'"([^"]+)"', page.read_text())


def test_experiments_metrics_and_plots_work_on_the_projects_own_stages(checkout: Path) -> None:
    weights = checkout / "weights" / "adapted" / "sketch" / "generator.safetensors"
    before, first = rate(checkout), weights.read_bytes()
    call(checkout, "dvc", "exp", "run", "--quiet", "--name", "faster", "-S", "adapt.learning_rate=0.01")
    assert rate(checkout) == 0.01 != before
    faster = weights.read_bytes()
    assert faster != first

    params = json.loads(call(checkout, "dvc", "params", "diff", "--json"))["params.yaml"]
    assert {name: (change["old"], change["new"]) for name, change in params.items()} == {
        "adapt.learning_rate": (before, 0.01)
    }
    changes = json.loads(call(checkout, "dvc", "metrics", "diff", "--json"))["reports/metrics.json"]
    change = changes["domains.sketch.retrieval_accuracy"]
    assert (change["old"], change["new"]) == (before, 0.01)
    assert "\nfaster," in call(checkout, "dvc", "exp", "show", "--csv")
    call(checkout, "dvc", "plots", "show", "--out", "shown")
    assert {"sketch", "retrieval_accuracy"} <= set(words(checkout / "shown" / "index.html"))
    call(checkout, "dvc", "plots", "diff", "HEAD", "--out", "compared")
    assert {"HEAD", "workspace", "sketch"} <= set(words(checkout / "compared" / "index.html"))

    call(checkout, "git", "checkout", "--quiet", "--force", "HEAD")
    call(checkout, "dvc", "checkout", "--quiet")
    assert (rate(checkout), weights.read_bytes()) == (before, first)
    call(checkout, "dvc", "exp", "apply", "faster")
    assert (rate(checkout), weights.read_bytes()) == (0.01, faster)
    assert call(checkout, "dvc", "status").split() == ["inputs:", "always", "changed"]
