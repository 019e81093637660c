"""One archive of the npm registry, brought by npm from wherever it is configured to look. Nothing in it is run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from nada.atomic import writing
from nada.errors import FetchError, one_line
from tasks.download.transfer import keep_arrived, partial_path
from tasks.store.locks import sole_writer

PACK = ("pack", "--ignore-scripts", "--loglevel=error")  # a published archive, as it is
MOST_SECONDS = 600.0
ERROR = "npm error "


def download_npm_package(target: Path, package: str, sha256: str) -> None:
    """Have one archive, whole or not at all.

    Args:
        target: where it shall lie, under npm's name for it; its folder is there.
        package: `@scope/name@version`.
        sha256: of the archive.

    Raises:
        FetchError: there is no npm, it cannot get that file, or other bytes arrived.
        OutputError: it cannot be written.
    """
    by_hand = f"run npm pack {package} where there is one, and save {target.name} as {target}"
    npm = shutil.which("npm")
    if npm is None:
        raise FetchError(f"{target.name}: npm is not installed here; {by_hand}")
    folder = target.with_name(target.name + ".npm").absolute()
    with sole_writer(partial_path(target)):
        try:
            with writing(target):
                shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed
                folder.mkdir()
            command = [npm, *PACK, f"--pack-destination={folder}", package]
            # There, a package.json of where the user stands is not read.
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=folder,
                timeout=MOST_SECONDS,
            )
            arrived = folder / target.name
            if done.returncode or not arrived.is_file():
                reason = _reason(done.stderr) or f"it brought no {target.name}"
                raise FetchError(f"{target.name}: npm: {reason}; see npm config list, or {by_hand}")
            keep_arrived(arrived, target, sha256)
        except subprocess.TimeoutExpired as err:
            raise FetchError(f"{target.name}: npm did not answer for {MOST_SECONDS:.0f} s; {by_hand}") from err
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _reason(said: str) -> str:
    """The last thing but codes that npm calls an error."""
    errors = [line.removeprefix(ERROR) for line in said.splitlines() if line.startswith(ERROR)]
    told = [line for line in errors if not line.startswith(("code ", "A complete log"))]
    return one_line((told or [""])[0]).rstrip(".")
