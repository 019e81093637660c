"""How the project's source is laid out, and how many of its files one row runs through: a column a checkout.

    python benchmarks/house.py                        # this checkout
    git worktree add ../older REVISION                # and an older one beside it
    python benchmarks/house.py ../older .
    python benchmarks/house.py --no-row . ../other    # without running anything

The hops of a row are measured, not listed: `nada run` on the tiny world of the checkout's own tests, with one row in
the CSV, while a profiler notes in every process of the night when a function of each file is first called. Calls while
modules load do not count, nor do files that run only after the row's folder was last written: for its recording and
the report. Lines and functions are counted with their docstrings.
"""

from __future__ import annotations

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.import_graph import PACKAGES, circles, import_graph, sources  # noqa: E402

LONG = 40  # lines of a function, at most, as the house style has it
# Written at once, for workers are killed when a night ends. Code whose flags lack 3 is a module's or a class's body.
PROFILER = """
import os, sys, threading, time
ours = tuple(os.environ["HOUSE_FOLDERS"].split(os.pathsep))
out = os.open(f"{os.environ['HOUSE_OUT']}/{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
seen, files = set(), set()
def imports(frame):
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
def note(frame, event, arg):
    code = frame.f_code
    if event != "call" or code in seen:
        return
    name = code.co_filename
    if name in files or not name.startswith(ours) or code.co_flags & 3 != 3:
        seen.add(code)
    elif not imports(frame):
        files.add(name)
        os.write(out, f"{time.time()} {name}\\n".encode())
threading.setprofile(note)
sys.setprofile(note)
"""
PROJECT = """
import sys
from pathlib import Path
from tests.conftest import make_tiny_world
from tests.project import HEADER, SKETCH, make_project
folder = Path(sys.argv[1])
(folder / "world").mkdir()
(folder / "project").mkdir()
make_project(folder / "project", make_tiny_world(folder / "world"))
(folder / "project" / "prompts.csv").write_text(f"{HEADER}\\n{SKETCH}\\n")
"""


def main() -> None:
    """Measure each checkout, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", type=Path, nargs="*", default=[ROOT], metavar="CHECKOUT")
    parser.add_argument("--no-row", action="store_true", help="run nothing")
    args = parser.parse_args()
    columns = []
    for root in (root.resolve() for root in args.roots):
        columns.append(layout(root) | ({} if args.no_row else {"files that one row runs through": hops(root)}))
    print("| | " + " | ".join(root.name or str(root) for root in (given.resolve() for given in args.roots)) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column[name] for column in columns) + " |")


def layout(root: Path) -> dict[str, str]:
    """What the sources of a checkout look like."""
    paths = sources(root)
    folders = Counter(path.parent.relative_to(root).as_posix() for path in paths)
    largest_folder, most = folders.most_common(1)[0]
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    largest = max(paths, key=lambda path: lines[path])
    found = circles(import_graph(root))
    functions = [length for path in paths for length in function_lengths(path)]
    return {
        "Python files of " + ", ".join(PACKAGES): str(len(paths)),
        "folders": str(len(folders)),
        "largest folder": f"{most} files ({largest_folder})",
        "import circles": f"{len(found)} ({sum(map(len, found))} files)" if found else "0",
        "lines": str(sum(lines.values())),
        "median file": f"{statistics.median(lines.values()):.0f} lines",
        "largest file": f"{lines[largest]} lines ({largest.relative_to(root).as_posix()})",
        f"functions over {LONG} lines": f"{sum(length > LONG for length in functions)} of {len(functions)}",
    }


def function_lengths(path: Path) -> Iterator[int]:
    """Lines of each function of a file, without its decorators."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.end_lineno - node.lineno + 1


def hops(root: Path) -> str:
    """The files of a checkout that one row ran through, by package."""
    with tempfile.TemporaryDirectory(prefix="nada-house-") as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(PROFILER)
        (folder / "out").mkdir()
        scripts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
        module, _, function = scripts["nada"].partition(":")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
        environment["PYTHONPATH"] = str(root)
        run([sys.executable, "-c", PROJECT, str(folder)], root, environment)
        ours = os.pathsep.join(f"{root / package}{os.sep}" for package in PACKAGES)
        environment |= {"HOUSE_FOLDERS": ours, "HOUSE_OUT": str(folder / "out")}
        environment["PYTHONPATH"] = os.pathsep.join([str(folder), str(root)])
        start = f"import sys; from {module} import {function}; sys.argv = ['nada', 'run']; sys.exit({function}())"
        run([sys.executable, "-c", start], folder / "project", environment)
        row = folder / "project" / "weights" / "adapted" / "sketch"
        published = max(path.stat().st_ctime for path in (row, *row.iterdir()))
        found = {file for at, file in noted(folder / "out") if at <= published}
    named = Counter(Path(file).relative_to(root).parts[0] for file in found)
    by_package = ", ".join(f"{package} {named[package]}" for package in PACKAGES)
    return f"{sum(named[package] for package in PACKAGES)} ({by_package})"


def noted(out: Path) -> Iterator[tuple[float, str]]:
    """When which file first ran, by process."""
    for path in out.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            at, _, file = line.partition(" ")
            yield float(at), file


def run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run to the end, or say what went wrong."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[:2]} in {folder} ended with {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
