"""What DVC asks for a library of many small rows: ten thousand folders of eight files, beside the same bytes in packs.

    python benchmarks/versions.py                     # 10,000 rows; 1 GB of disk, removed afterwards
    python benchmarks/versions.py --rows 1000

The files hold random bytes, as many as fit in a block of the disk: what costs is their number. A folder that DVC knows
gets twenty new rows, as after a night. A pack is one file of a hundred rows that lie next to each other, and a night's
rows are one more pack. Seconds of the processor, and of the clock beside them.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDS = ("row.json", "evaluation.json", "retrieval.json", "metrics.json", "samples.webp", "trace.csv")
FILES = (*RECORDS, "embeddings.safetensors", "domain.safetensors")
FILE_BYTES = 2048
NEW = 20
PER_PACK = 100
FOLDER = Path("adapted")


def main() -> None:
    """Measure folders, then packs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    dvc = subprocess.run([sys.executable, "-m", "dvc", "--version"], capture_output=True, text=True, check=True)
    print(f"python {platform.python_version()}, dvc {dvc.stdout.strip()}, {os.cpu_count()} cores, {rows} rows\n")
    print("| | files | add | status | push | add 20 rows | status | push | checkout | its list, MB |")
    print("|---|" + "---:|" * 9)
    for kind, write in (("folders", write_folders), ("packs", write_packs)):
        with tempfile.TemporaryDirectory(prefix="nada-versions-") as folder:
            os.chdir(folder)
            measure(kind, write, rows)
            os.chdir(ROOT)


def write_folders(first: int, stop: int) -> None:
    """Rows as nights leave them."""
    for index in range(first, stop):
        folder = FOLDER / f"domain-{index:05d}"
        folder.mkdir(parents=True)
        for name in FILES:
            (folder / name).write_bytes(os.urandom(FILE_BYTES))


def write_packs(first: int, stop: int) -> None:
    """The same bytes in few files."""
    FOLDER.mkdir(exist_ok=True)
    for index in range(first, stop, PER_PACK):
        num_rows = min(PER_PACK, stop - index)
        (FOLDER / f"{index:05d}.pack").write_bytes(os.urandom(FILE_BYTES * len(FILES) * num_rows))


def measure(kind: str, write: Callable[[int, int], None], rows: int) -> None:
    """One line of the table."""
    subprocess.run(["git", "init", "--quiet"], check=True)
    dvc("init", "--quiet")
    dvc("remote", "add", "--default", "local", "remote", "--quiet")
    write(0, rows)
    times = [dvc("add", str(FOLDER)), dvc("status"), dvc("push")]
    write(rows, rows + NEW)
    times += [dvc("add", str(FOLDER)), dvc("status"), dvc("push")]
    shutil.rmtree(FOLDER)
    times.append(dvc("checkout"))
    num_files = sum(path.is_file() for path in FOLDER.rglob("*"))
    listed = max(path.stat().st_size for path in Path(".dvc/cache").rglob("*.dir"))
    print(f"| {kind} | {num_files} | {' | '.join(times)} | {listed / 1e6:.1f} |", flush=True)


def dvc(*arguments: str) -> str:
    """Run it; seconds of the processor (of the clock)."""
    started, before = time.monotonic(), cpu_seconds()
    subprocess.run([sys.executable, "-m", "dvc", *arguments], check=True, capture_output=True)
    return f"{cpu_seconds() - before:.1f} ({time.monotonic() - started:.0f})"


def cpu_seconds() -> float:
    """Of all processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
