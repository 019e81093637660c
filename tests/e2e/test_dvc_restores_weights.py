"""What one checkout trains and pushes, another clone pulls, whole: real git, real dvc, a night that costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nada.errors import InputError
from tasks.store import versioning

ROOT = Path(__file__).parents[2]

DVC_YAML = """
stages:
  night:
    cmd: python night.py
    deps:
      - prompts.csv
    outs:
      - weights/adapted:
          persist: true
    metrics:
      - reports/metrics.json:
          cache: false
"""

# Trains what has no whole result yet, as a real night does, and tells what it trained.
NIGHT = """
import sys
from pathlib import Path
from tasks.config.project import HERE
from tasks.report import metrics
from tasks.store import row_folder
from tests.records import make_record

row_folder.sweep()
domains = Path("prompts.csv").read_text().split()
failed = [domain for domain in domains if domain.startswith("bad")]
for domain in domains:
    if row_folder.is_made(HERE.adapted / domain, domain, domain) or domain in failed:
        continue
    folder = row_folder.partial_dir(domain)
    (folder / "generator.safetensors").write_bytes(domain.encode() * 1000)
    row_folder.write_making(folder, make_record(domain, making={"key": domain}).making)
    row_folder.publish(folder, domain)
    with open("trained.log", "a") as log:
        log.write(domain + " ")
row_folder.prune(set(domains))
metrics.write_metrics([], {}, Path("reports"))
sys.exit(1 if failed else 0)
"""


@pytest.fixture(autouse=True)
def no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `forget_identity`, for a test."""
    forget_identity(tmp_path, monkeypatch)


def forget_identity(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """A machine whose user never told git a name, and where nothing above the folder is a repository."""
    patch.setenv("HOME", str(folder / "home"))
    patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    patch.setenv("GIT_CEILING_DIRECTORIES", str(folder))
    patch.setenv("DVC_SITE_CACHE_DIR", str(folder / "site"))
    patch.setenv("PYTHONPATH", str(ROOT))
    patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with this project's DVC set-up, before its first night."""
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / ".dvc").mkdir()
    for name in (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "night.py").write_text(NIGHT)
    (folder / "prompts.csv").write_text("sketch\n")
    call(folder, "git", "init", "--quiet")
    commit(folder)
    return folder


def call(folder: Path, *command: str, expect: int = 0) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == expect, result.stdout + result.stderr
    return result.stdout


def dvc(folder: Path, *arguments: str, expect: int = 0) -> str:
    return call(folder, sys.executable, "-m", "dvc", *arguments, expect=expect)


def commit(folder: Path) -> None:
    call(folder, "git", "add", "--all")
    identity = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    call(folder, "git", *identity, "commit", "--quiet", "--message", "night")


def trained(folder: Path) -> list[str]:
    log = folder / "trained.log"
    words = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return words


def domains(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "weights" / "adapted").iterdir())


def test_a_clone_pulls_the_weights_and_trains_nothing(checkout: Path) -> None:
    dvc(checkout, "repro")
    assert trained(checkout) == ["sketch"]
    assert "A  dvc.lock" in call(checkout, "git", "status", "--short").splitlines()
    commit(checkout)
    versioning.push(checkout)

    clone = checkout.parent / "second"
    call(checkout.parent, "git", "clone", "--quiet", str(checkout), str(clone))
    (line,) = versioning.prepare_checkout(clone)
    assert line.endswith(f"the checkout that this is a clone of: {checkout / '.dvc-remote'}")
    assert versioning.prepare_checkout(clone) == []
    dvc(clone, "pull")

    weights = "weights/adapted/sketch/generator.safetensors"
    assert (clone / weights).read_bytes() == (checkout / weights).read_bytes()
    assert (clone / "weights/adapted/sketch/row.json").is_file()
    dvc(clone, "repro", "--force")
    assert trained(clone) == []
    assert versioning.status(clone) == []


def test_only_a_new_row_is_trained_and_an_old_version_comes_back(checkout: Path) -> None:
    dvc(checkout, "repro")
    commit(checkout)
    assert trained(checkout) == ["sketch"]
    assert "didn't change, skipping" in dvc(checkout, "repro")

    (checkout / "prompts.csv").write_text("sketch\nrobot\n")
    assert any("prompts.csv" in line for line in versioning.status(checkout))
    dvc(checkout, "repro")
    assert trained(checkout) == ["robot"]
    assert domains(checkout) == ["robot", "sketch"]
    commit(checkout)

    call(checkout, "git", "checkout", "--quiet", "HEAD~1")
    dvc(checkout, "checkout")
    assert domains(checkout) == ["sketch"]


def test_a_failed_row_leaves_the_others_and_the_stage_unfinished(checkout: Path) -> None:
    (checkout / "prompts.csv").write_text("sketch\nbad\n")
    dvc(checkout, "repro", expect=255)
    assert domains(checkout) == ["sketch"]
    assert not (checkout / "dvc.lock").exists()

    (checkout / "prompts.csv").write_text("sketch\ngood\n")
    dvc(checkout, "repro")
    assert trained(checkout) == ["sketch", "good"]


def test_what_a_running_night_leaves_beside_is_not_versioned(checkout: Path) -> None:
    unfinished = checkout / "weights" / "adapted" / f".partial-robot-{os.getpid()}"
    unfinished.mkdir(parents=True)
    (unfinished / "generator.safetensors").touch()
    dvc(checkout, "repro")
    lock = (checkout / "dvc.lock").read_text()
    assert "nfiles: 2" in lock  # the weights and the record of `sketch`


def test_a_copy_without_git_works(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    (line,) = versioning.prepare_checkout(checkout)
    assert line.startswith("no git repository: DVC works without it")
    dvc(checkout, "repro")
    assert domains(checkout) == ["sketch"]
    versioning.push(checkout)
    assert (checkout / ".dvc-remote" / "files").is_dir()


def test_a_checkout_of_its_own_needs_no_change(checkout: Path) -> None:
    assert versioning.prepare_checkout(checkout) == []


def test_a_folder_that_is_no_project_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.dvc: no such folder; run this in the project's folder"):
        versioning.prepare_checkout(tmp_path)


def test_a_refusal_of_dvc_is_told_with_its_reason(checkout: Path) -> None:
    (checkout / "dvc.yaml").write_text("stages: [")
    with pytest.raises(InputError, match=r"^dvc push: .*dvc.yaml"):
        versioning.push(checkout)
