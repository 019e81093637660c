"""Where nights are written down: DVC, git, MLflow and Prefect."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from tasks.config.project import HERE
from tasks.health.finding import Finding, missing, note, ok
from tasks.tracking.address import is_own, tracking_uri, without_secrets

ANSWER_SECONDS = 1.0
PORTS = {"http": 80, "https": 443}
DVC_LOCK = ".dvc/tmp/rwlock"  # which process reads and writes what; DVC writes it in place
BEGIN = "nada init .    # adds what is not there, and touches nothing that is"


def look_at_stores() -> Iterator[Finding]:
    """None of them is written to."""
    yield _dvc()
    yield _git()
    yield _mlflow()
    yield _prefect()


def _dvc() -> Finding:
    if not Path(".dvc/config").is_file() or not Path("dvc.yaml").is_file():
        return note("DVC", "this project is not versioned by DVC; nada run works all the same", BEGIN)
    absent = [name for name in ("dvc", "nada") if shutil.which(name) is None]
    if absent:
        says = f"{' and '.join(absent)} not on the PATH, where dvc repro looks"
        return note("DVC", says, "activate the environment in which nada is: source .venv/bin/activate")
    if _is_torn(DVC_LOCK):
        says = f"{DVC_LOCK} is torn, as a power cut or a kill leaves it at times; DVC does nothing while it is there"
        return missing("DVC", says, f"rm {DVC_LOCK}    # once no dvc runs here")
    remote = _remote()
    if remote is None:
        return note("DVC", "there is no remote to push to", "dvc remote add --default local ../.dvc-remote")
    return ok("DVC", f"remote {remote}")


def _is_torn(path: str) -> bool:
    """Whether a file of JSON is there that nobody can read."""
    try:
        json.loads(Path(path).read_bytes())
    except ValueError:
        return True
    except OSError:
        return False
    return False


def _remote() -> str | None:
    """The address of the default remote, a local setting before the tracked one."""
    config = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        for name in (".dvc/config", ".dvc/config.local"):
            lines = Path(name).read_text(encoding="utf-8").splitlines() if Path(name).is_file() else []
            config.read_string("\n".join(line.strip() for line in lines))
        name = config["core"]["remote"]
        url = config[f"'remote \"{name}\"'"]["url"]
    except (OSError, KeyError, UnicodeDecodeError, configparser.Error):
        return None
    return without_secrets(url) if "://" in url else os.path.normpath(Path(".dvc", url))


def _git() -> Finding:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False).returncode == 0
    except OSError:
        return note("git", "not installed: nothing ties weights to the settings that made them", "install git")
    if not inside:
        return note("git", "this is no repository: nothing ties weights to the settings that made them", "git init")
    if done.returncode:
        return note("git", "no commit yet", "git add . && git commit -m 'Begin'")
    return ok("git", f"at {done.stdout.strip()}")


def _mlflow() -> Finding:
    uri = tracking_uri()
    if is_own():
        return ok("MLflow", f"{HERE.mlflow}{'' if HERE.mlflow.is_dir() else ', which the first night makes'}")
    if _is_silent(uri):
        says = f"{without_secrets(uri)} does not answer; nights run, and record there once it does"
        return note("MLflow", says, "start it, or: unset MLFLOW_TRACKING_URI")
    return ok("MLflow", without_secrets(uri))


def _prefect() -> Finding:
    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return ok("Prefect", f"a server of its own for each night; records in {HERE.prefect}")
    if _is_silent(url):
        return missing("Prefect", f"{without_secrets(url)} does not answer", "start it, or: unset PREFECT_API_URL")
    return ok("Prefect", without_secrets(url))


def _is_silent(address: str) -> bool:
    """Whether nothing listens at a web address; of others nothing is said."""
    try:
        parts = urlsplit(address)
        if parts.scheme not in PORTS or not parts.hostname:
            return False
        socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), ANSWER_SECONDS).close()
    except (OSError, ValueError):
        return True
    return False
