"""What a night costs beside its training, with thousands of finished rows: the real commands on a tiny world.

    python benchmarks/scale.py                        # 10,000 rows, 40 of them to train
    python benchmarks/scale.py --rows 1000 --train 10
    python benchmarks/scale.py --folder scale/        # keeps the project, so that a second run starts at once

Finished rows are published as a worker publishes them: every file and a record with its hashes. Their runs in MLflow
are made by the night itself unless --unrecorded 0 says that an earlier night had done so.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from flows.plan import make_plan  # noqa: E402
from nada.checkpoints import save_generator  # noqa: E402
from tasks import rowcache  # noqa: E402
from tests.conftest import tiny_generator, write_tiny_clip  # noqa: E402
from tests.project import PARAMS, make_project  # noqa: E402

POLL_SECONDS = 0.05
RECIPE = "  quick:\n    iterations: 2\n"


@dataclass
class Run:
    """How a command went."""

    seconds: float
    peak_bytes: int
    first_step_seconds: float | None
    """From the command to the first line that tells of a training step."""
    out: str


def main() -> None:
    """Make the project, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--train", type=int, default=40, help="rows without a result (default 40)")
    parser.add_argument("--folder", type=Path, help="keep the project here")
    args = parser.parse_args()
    with project_folder(args.folder) as folder:
        os.chdir(folder)
        make(args.rows, args.train)
        report(args.rows, args.train)


@contextmanager
def project_folder(kept: Path | None) -> Iterator[Path]:
    """The given folder, or one that is removed afterwards."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def make(rows: int, train: int) -> None:
    """A project whose last `train` rows are not finished; finished rows that are there are kept."""
    if not Path("params.yaml").exists():
        world = Path("made-world")
        world.mkdir()
        save_generator(world / "generator.safetensors", tiny_generator())
        write_tiny_clip(world, "tiny-guide", seed=1)
        write_tiny_clip(world, "tiny-judge", seed=2)
        make_project(Path.cwd(), world)
        Path("params.yaml").write_text(PARAMS + RECIPE)
    write_prompts(0, 1)
    nada("run")  # one row trained for real; the others are its copies under names and keys of their own
    write_prompts(0, rows)
    plan = make_plan(Path("params.yaml"))
    model = rowcache.ADAPTED_DIR / name_of(0)
    record = rowcache.read_record(name_of(0))
    for planned in plan.to_train[: max(0, len(plan.to_train) - train)]:
        domain = planned.row.domain
        partial = rowcache.partial_dir(domain)
        for path in model.iterdir():
            if path.name != rowcache.RECORD_NAME:
                shutil.copy(path, partial)
        row = {**record["row"], "domain": domain, "target": planned.row.target, "line": planned.row.line}
        rowcache.write_record(partial, {**record, "domain": domain, "key": planned.key, "row": row})
        rowcache.publish(partial, domain)


def name_of(index: int) -> str:
    """A domain."""
    return f"domain-{index:05d}"


def write_prompts(first: int, stop: int) -> None:
    """prompts.csv with these rows."""
    lines = [f"{name_of(index)},portrait,style number {index},quick" for index in range(first, stop)]
    Path("prompts.csv").write_text("\n".join(["domain,source,target,recipe", *lines]) + "\n")


def nada(*arguments: str) -> Run:
    """Run the command in a process of its own and watch its memory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PYTHONPATH"] = str(ROOT)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", *arguments], env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        peak, first_step = 0, None
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            if first_step is None and "adapting, step" in os.pread(out.fileno(), 1 << 20, 0).decode():
                first_step = time.monotonic() - started
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        sys.exit(f"nada {' '.join(arguments)} ended with {process.returncode}\n{text}")
    return Run(seconds, peak, first_step, text)


def peak_bytes(pid: int) -> int:
    """The most memory that a process ever held; 0 once it is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def report(rows: int, train: int) -> None:
    """Measure the commands and print the table."""
    cached = rows - train
    first_plan, plan = nada("plan"), nada("plan")
    night = nada("run")
    again = nada("run")
    status = nada("status")
    records = [rowcache.read_record(name_of(index)) for index in range(cached, rows)]
    workers = 2
    trained = sum(record["seconds"]["total"] for record in records) / workers
    versions = f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    lines: list[tuple[str, str]] = [
        ("first plan, every file of every row hashed", f"{first_plan.seconds:.1f} s"),
        ("plan", f"{plan.seconds:.1f} s"),
        ("start: from the command to the first training step", f"{night.first_step_seconds or 0:.1f} s"),
        ("the night", f"{night.seconds:.1f} s"),
        ("  of it training, judging and saving", f"{trained:.1f} s"),
        ("most memory of the flow's process", f"{night.peak_bytes / 2**20:.0f} MiB"),
        ("a run with nothing to train", f"{again.seconds:.1f} s"),
        ("  a cached row", f"{1000 * again.seconds / rows:.2f} ms"),
        ("nada status", f"{status.seconds:.1f} s"),
    ]
    print(f"{versions}\n{rows} rows, {cached} finished, {train} to train on {workers} workers\n")
    for name, value in lines:
        print(f"  {name:<56} {value:>10}")
    print(json.dumps({"trained_rows_seconds": trained}))


if __name__ == "__main__":
    main()
