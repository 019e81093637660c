"""DVC and its embedded local remote. The only caller of dvc; row tasks never call it, as it locks the project.

python -m tasks.store.versioning     prepares a fresh checkout (`make setup` calls it)
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nada.errors import InputError, OutputError

REMOTE = "local"
REMOTE_DIR = ".dvc-remote"
"""The embedded remote, inside the checkout; .dvc/config names it."""
WRITTEN_BY_NIGHTS = (":!reports", ":!dvc.lock")  # as git names paths to leave out
CHANGES_SHOWN = 8


def prepare_checkout(root: Path) -> list[str]:
    """Make `dvc repro`, `dvc push` and `dvc pull` work in a fresh checkout; what it changed, one line each.

    A clone of a local checkout shares the remote of that checkout, so that `dvc pull` finds its weights. A copy
    without git works without it, until it is a repository. Both are written to .dvc/config.local, which git ignores;
    a remote that is there already is kept. A repository that git itself refuses is told of, and left as it is.

    Raises:
        InputError: no .dvc folder, or dvc refuses.
    """
    if not (root / ".dvc" / "config").is_file():
        raise InputError(f"{root / '.dvc'}: no such folder; run this in the project's folder")
    done: list[str] = []
    config = _local_config(root)
    is_git, refusal = _ask_git(root)
    if refusal is not None:
        done.append(refusal)
    elif is_git and "no_scm" in config:
        _dvc(root, "config", "--local", "--unset", "core.no_scm")
        done.append("a git repository now: DVC works with it again")
    elif not is_git and "no_scm" not in config:
        _dvc(root, "config", "--local", "core.no_scm", "true")
        done.append("no git repository: DVC works without it, but nothing ties weights to the code that made them")
    origin = _origin_remote(root)
    if origin is not None and f'remote "{REMOTE}"' not in config:
        _dvc(root, "remote", "modify", "--local", REMOTE, "url", str(origin))
        done.append(f"dvc push and dvc pull use the remote of the checkout that this is a clone of: {origin}")
    return done


def push(root: Path) -> str:
    """Copy every versioned file to the default remote; DVC's last line.

    Raises:
        InputError: dvc refuses, with its reason.
    """
    return _dvc(root, "push")


def cache_dir(root: Path) -> Path | None:
    """Where DVC keeps every version of what it versions; None where this is no project of DVC's.

    Raises:
        InputError: dvc refuses, with its reason.
    """
    return Path(_dvc(root, "cache", "dir")) if (root / ".dvc" / "config").is_file() else None


def status(root: Path) -> list[str]:
    """What differs from dvc.lock, in DVC's words; empty when everything is up to date.

    Raises:
        InputError: dvc refuses, with its reason.
    """
    lines = _dvc(root, "status").splitlines()
    return [] if lines and "up to date" in lines[-1] else lines


def commit(root: Path) -> dict[str, str]:
    """The commit of a checkout and the tracked files that differ from it, those aside that nights write themselves.

    Empty where there is no git or no commit yet.
    """
    head = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", *WRITTEN_BY_NIGHTS)
    if head is None or changes is None:
        return {}
    names = sorted(line.split(maxsplit=1)[1] for line in changes.splitlines())
    shown = names[:CHANGES_SHOWN] + ([f"{len(names) - CHANGES_SHOWN} more"] if len(names) > CHANGES_SHOWN else [])
    return {"commit": head, "uncommitted changes": ", ".join(shown) or "none"}


def _dvc(root: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        reason = next((line for line in lines if line.startswith("ERROR: ")), "".join(lines[:1]) or "no reason given")
        raise InputError(f"dvc {' '.join(arguments)}: {reason.removeprefix('ERROR: ')}")
    return result.stdout.strip()


def _local_config(root: Path) -> str:
    try:
        return (root / ".dvc" / "config.local").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except OSError as err:
        raise OutputError(f"{root / '.dvc' / 'config.local'}: cannot be read ({err.strerror})") from err


def _git(root: Path, *arguments: str) -> str | None:
    result = _call_git(root, *arguments)
    return result.stdout.strip() if result is not None and result.returncode == 0 else None


def _call_git(root: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """None where there is no git."""
    command, environment = ["git", *arguments], {**os.environ, "LC_ALL": "C"}  # English, which we read
    try:
        return subprocess.run(
            command, cwd=root, env=environment, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError:
        return None


def _ask_git(root: Path) -> tuple[bool, str | None]:
    """Whether this is a git repository, and what to do where it is one that git refuses."""
    result = _call_git(root, "rev-parse", "--is-inside-work-tree")
    if result is None:
        return False, None
    return result.stdout.strip() == "true", refusal_of_git(result.stderr)


def refusal_of_git(said: str) -> str | None:
    """What to do where git does not work in a repository of another owner, by what it said; None where it does."""
    if "safe.directory" not in said:
        return None
    command = next((line.strip() for line in said.splitlines() if line.strip().startswith("git config")), "")
    return (
        "this git repository belongs to another user, so git refuses it, and nothing ties weights to the code that "
        f"made them; trust it with: {command or 'git config --global --add safe.directory PATH'}"
    )


def _origin_remote(root: Path) -> Path | None:
    """The embedded remote of the checkout that this one was cloned from, where that is on this machine."""
    url = _git(root, "config", "--get", "remote.origin.url")
    if not url:
        return None
    origin = (root / url.removeprefix("file://")).resolve()
    if origin.name == ".git":
        origin = origin.parent
    return origin / REMOTE_DIR if (origin / ".dvc" / "config").is_file() and origin != root.resolve() else None


if __name__ == "__main__":
    try:
        for change in prepare_checkout(Path.cwd()):
            print(change)
    except InputError as error:
        sys.exit(str(error))
