"""One file of a package index, brought by pip from wherever it is configured to look. Nothing is installed or run.

pip knows mirrors, proxies, certificates, passwords and folders of wheels. It is asked for the one file whose checksum
is known, and refuses any other before it looks inside.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from nada.atomic import writing
from nada.errors import FetchError, one_line
from tasks.download.transfer import Arrived, News, keep_arrived, partial_path
from tasks.store.locks import sole_writer

# -P: a folder named pip where the user stands is not run. Whatever Python the package asks for does not matter here.
PIP = (sys.executable, "-P", "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-color", "--quiet")
DOWNLOAD = ("download", "--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--progress-bar=off")
ERROR = "ERROR: "


def download_package(
    target: Path, package: str, sha256: str, tell: Callable[[News], None] = lambda news: None
) -> Arrived:
    """Have one wheel, whole or not at all.

    Args:
        target: where it shall lie, under its own name; its folder is made.
        package: `name==version`.
        sha256: of the wheel.
        tell: called once, with what is done.

    Raises:
        FetchError: there is no pip, it cannot get that file, or another process is fetching it.
        OutputError: it cannot be written.
    """
    by_hand = f"save the file {target.name} as {target} by hand, and give the same command again"
    if find_spec("pip") is None:
        raise FetchError(f"{target.name}: pip is not installed here; run python -m ensurepip, or {by_hand}")
    tell(News(done_bytes=0, said=f"pip fetches {package} from the index that it is configured for"))
    folder = target.with_name(target.name + ".pip")
    with sole_writer(partial_path(target)):
        try:
            with writing(target):
                shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
                folder.mkdir()
                wanted = folder / "wanted.txt"
                wanted.write_text(f"{package} --hash=sha256:{sha256}\n", encoding="utf-8")
            command = [*PIP, *DOWNLOAD, "--dest", str(folder), "--requirement", str(wanted)]
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
            arrived = folder / target.name
            if done.returncode or not arrived.is_file():
                reason = _reason(done.stderr) or f"it brought no {target.name}"
                raise FetchError(f"{target.name}: pip: {reason}. See pip config list, or {by_hand}")
            keep_arrived(arrived, target, sha256)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return Arrived(package, sha256, target.stat().st_size, None)


def _reason(said: str) -> str:
    """The first thing that pip calls an error, or its last words."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    return one_line((errors or lines[-1:] or [""])[0]).rstrip(".")
