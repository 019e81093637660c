"""What a night costs beside its training, with thousands of finished rows: the real commands on a tiny world.

    python benchmarks/scale.py                        # 10,000 rows, 40 of them to train
    python benchmarks/scale.py --rows 1000 --train 10
    python benchmarks/scale.py --folder scale/        # keeps the project, so that a second run starts sooner

Finished rows are published as a worker publishes them, every file and a record with its hashes; their files are those
of one row that was trained for real. All but a few count as recorded in MLflow by an earlier night.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from nada.checkpoints import save_generator  # noqa: E402
from tasks.config.project import HERE  # noqa: E402
from tasks.plan.planned_row import PlannedRow  # noqa: E402
from tasks.plan.planning import make_plan  # noqa: E402
from tasks.store import row_folder  # noqa: E402
from tasks.store.record import EVALUATION_NAME, MAKING_NAME, RETRIEVAL_NAME, Record, write_entry  # noqa: E402
from tasks.tracking import mlflow_store, recorded_runs  # noqa: E402
from tests.conftest import tiny_generator, write_tiny_clip  # noqa: E402
from tests.project import PARAMS, make_project  # noqa: E402

POLL_SECONDS = 0.05
WORKERS = 2  # as tests/project.py asks for
UNRECORDED = 20  # finished rows that MLflow does not know yet
HEARD = ("making, step", ": loading models")
SHARED: dict[Path, Path] = {}
"""File -> its copy that is linked to from now on."""
RECIPE = "  quick:\n    iterations: 2\n"


@dataclass
class Run:
    """How a command went."""

    seconds: float
    cpu_seconds: float
    """Of the processor, its child processes included."""
    peak_bytes: int
    first_step_seconds: float
    """From the command to the first line that tells of a training step."""
    first_row_seconds: float
    """To the first line of a row."""
    last_row_seconds: float
    """To the last line of a row."""


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
    """A project whose last `train` rows are not finished; other finished rows that are there are kept."""
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
    for index in range(rows - train, rows):
        shutil.rmtree(HERE.adapted / name_of(index), ignore_errors=True)
    plan = make_plan(Path("params.yaml"))
    model = row_folder.read_record(name_of(0))
    for planned in plan.to_train[: max(0, len(plan.to_train) - train)]:
        publish_copy(model, planned)
    run = mlflow_store.start_night(plan.params, [], "the night before")
    for planned in make_plan(Path("params.yaml")).rows[UNRECORDED:]:
        if planned.state == "current":
            record = row_folder.read_record(planned.domain)
            recorded_runs.remember(HERE.mlflow, run.store, recorded_runs.row_id(record))


def publish_copy(model: Record, planned: PlannedRow) -> None:
    """A finished row with the files of another, and records of its own."""
    domain, keys = planned.domain, planned.keys
    own: dict[str, BaseModel] = {
        MAKING_NAME: model.making.model_copy(update={"domain": domain, "key": keys.making, "row": planned.row}),
        EVALUATION_NAME: model.evaluation.model_copy(
            update={"domain": domain, "key": keys.evaluation, "making_key": keys.making}
        ),
        RETRIEVAL_NAME: model.retrieval.model_copy(update={"domain": domain, "key": keys.retrieval}),
    }
    partial = row_folder.partial_dir(domain)
    for path in (HERE.adapted / model.domain).iterdir():
        if path.name not in own:
            share(path, partial / path.name)
    for name, entry in own.items():
        write_entry(partial / name, entry)
    row_folder.publish(partial, domain)


def share(path: Path, copy: Path) -> None:
    """Another name of a file, so that many rows take little of the disk; a file system sets a limit to names."""
    source = SHARED.get(path, path)
    try:
        os.link(source, copy)
    except OSError:
        SHARED[path] = Path("made-world") / f"{len(list(Path('made-world').iterdir()))}-{path.name}"
        shutil.copy(source, SHARED[path])
        os.link(SHARED[path], copy)


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
    started, done, last, before = time.monotonic(), 0, 0.0, cpu_seconds()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.cli.main", *arguments], env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        peak, heard = 0, dict.fromkeys(HEARD, 0.0)
        while process.poll() is None:
            peak = max(peak, peak_bytes(process.pid))
            text = os.pread(out.fileno(), 1 << 24, 0).decode()
            now = time.monotonic() - started
            heard = {words: heard[words] or (now if words in text else 0.0) for words in HEARD}
            if (count := text.count(": done in ")) > done:
                done, last = count, now
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - started
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        sys.exit(f"nada {' '.join(arguments)} ended with {process.returncode}\n{text}")
    return Run(seconds, cpu_seconds() - before, peak, heard["making, step"], heard[": loading models"], last)


def cpu_seconds() -> float:
    """Of all processes that this one waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
    """Measure the commands and print the table; beside the seconds of a busy machine, those of its processor."""
    cached = rows - train
    HERE.known_rows.unlink(missing_ok=True)
    shutil.rmtree(HERE.text_cache, ignore_errors=True)
    first_plan, plan = nada("plan", "--no-preflight"), nada("plan", "--no-preflight")
    preflight, second_preflight = nada("plan"), nada("plan")
    night, again, status = nada("run"), nada("run"), nada("status")
    records = [row_folder.read_record(name_of(index)) for index in range(cached, rows)]
    trained = sum(record.seconds for record in records) / WORKERS
    overhead = night.last_row_seconds - night.first_row_seconds - trained
    versions = f"python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    lines: list[tuple[str, str]] = [
        ("first plan: every file of every row is hashed", both(first_plan)),
        ("plan", both(plan)),
        ("plan with the guides asked about the prompts to train", both(preflight)),
        ("the same again", both(second_preflight)),
        ("start: from the command to the first training step", f"{night.first_step_seconds:.1f} s"),
        ("the night", f"{night.seconds:.1f} s"),
        ("  training, judging and saving in the workers", f"{trained:.1f} s"),
        ("  beside that, for each trained row", f"{1000 * max(0.0, overhead) / train:.0f} ms"),
        ("a night with nothing to train", both(again)),
        ("  for each row", f"{1000 * again.seconds / rows:.2f} ms"),
        ("most memory of the flow's process", f"{night.peak_bytes / 2**20:.0f} MiB"),
        ("size of the report", f"{latest_report_bytes() / 2**20:.1f} MiB"),
        ("nada status", both(status)),
    ]
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{versions}, load {load}\n{rows} rows, {cached} finished, {train} to train on {WORKERS} workers\n")
    for name, value in lines:
        print(f"  {name:<56} {value:>10}")


def both(run: Run) -> str:
    """Its seconds, and those of the processor."""
    return f"{run.seconds:.1f} s ({run.cpu_seconds:.1f} s of the processor)"


def latest_report_bytes() -> int:
    """Of the page that the last night wrote."""
    return max(Path("reports").glob("*/index.html"), key=lambda path: path.stat().st_mtime).stat().st_size


if __name__ == "__main__":
    main()
