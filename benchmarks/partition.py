"""A night on two machines of a Ray cluster whose cable is cut in the middle of a row: what is lost, what hangs?

    python benchmarks/partition.py                    # as root, on Linux; about five minutes
    python benchmarks/partition.py --seconds 5        # the cable is put back after that long

The machines are network namespaces joined by a pair of virtual interfaces, each with a name of its own. The world is
that of the tests: two long rows, one on each machine, and short ones that come after. The exit status is 1 if anything
did not hold, 2 where namespaces are not allowed.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.conftest import make_tiny_world  # noqa: E402
from tests.faults.harness import AS_A_SCRIPT, WORKER, NightProcess, command_of  # noqa: E402
from tests.project import HEADER, PARAMS, make_project  # noqa: E402

HEAD, FAR = "nada-head", "nada-far"
STATION = "ray::RowActor"  # what an actor calls itself; Ray has others, of its own
ADDRESSES = {HEAD: "10.77.0.1", FAR: "10.77.0.2"}
PORT = 6399
RAY_SECONDS = 90.0  # for a machine to join
MOST_SECONDS = 300.0  # of the night, after the cut
LEAVING_SECONDS = 240.0  # until nothing of ours runs on the machine that was cut off: Ray waits for a minute itself
STEPS = 600
SETTINGS = f"night:\n  runner: ray\n  ray_address: {ADDRESSES[HEAD]}:{PORT}\n  checkpoint_minutes: 0\n"
RECIPES = f"  long:\n    iterations: {STEPS}\n"
ROWS = {"long": "long", "twin": "long", "short": "style", "brief": "style", "little": "style"}


def main() -> None:
    """Join, run, cut, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="until the cable is put back; by default never"
    )
    given = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="nada-cut-") as folder, cable():
            wrong = cut_night(Path(folder), given.seconds)
    except (OSError, subprocess.CalledProcessError) as err:
        print(f"no network namespaces here, which takes Linux, root and ip: {err}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(wrong) or "nothing was lost, nothing hangs")
    sys.exit(1 if wrong else 0)


@contextmanager
def cable() -> Iterator[None]:
    """Two machines and a cable between them; in the end neither they nor anything that runs there."""
    try:
        for name in ADDRESSES:
            call("ip", "netns", "add", name)
            call("ip", "-n", name, "link", "set", "lo", "up")
        call("ip", "link", "add", HEAD, "netns", HEAD, "type", "veth", "peer", "name", FAR, "netns", FAR)
        for name, address in ADDRESSES.items():
            call("ip", "-n", name, "address", "add", f"{address}/24", "dev", name)
            call("ip", "-n", name, "link", "set", name, "up")
        yield
    finally:
        for name in ADDRESSES:
            for pid in processes(name):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def call(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def processes(name: str) -> list[int]:
    """Those of a machine."""
    with suppress(subprocess.CalledProcessError):
        return [int(pid) for pid in call("ip", "netns", "pids", name).split()]
    return []


def on(name: str) -> tuple[str, ...]:
    """What stands before a command that is to run on a machine."""
    return ("ip", "netns", "exec", name, "unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh")


def environment() -> dict[str, str]:
    """In which our own code is found."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start_ray(name: str, folder: Path) -> None:
    """Let a machine be one of the cluster."""
    joins = ["--head", f"--port={PORT}", "--include-dashboard=false", f"--temp-dir={folder / 'ray'}"]
    joins = joins if name == HEAD else [f"--address={ADDRESSES[HEAD]}:{PORT}"]
    options = [f"--node-ip-address={ADDRESSES[name]}", "--num-cpus=1", f"--object-store-memory={100 << 20}"]
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--disable-usage-stats"]
    done = subprocess.run(
        [*on(name), *ray, *joins, *options],
        env={**environment(), "XDG_CACHE_HOME": str(folder / name)},
        capture_output=True, text=True, timeout=RAY_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name}: Ray does not start\n{done.stdout}{done.stderr}")


def cut_night(folder: Path, seconds: float) -> list[str]:
    """The night; what is wrong with it."""
    project = folder / "project"
    make_project(project, make_tiny_world(folder / "world"))
    (project / "params.yaml").write_text(PARAMS.replace("night:\n", SETTINGS) + RECIPES)
    lines = [f"{row},portrait,a {row} one,{recipe}," for row, recipe in ROWS.items()]
    (project / "prompts.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    for name in ADDRESSES:
        start_ray(name, folder)
    command = (*on(HEAD), sys.executable, "-c", AS_A_SCRIPT, "run")
    wrong = []
    with NightProcess(project, command=command, XDG_CACHE_HOME=str(folder / HEAD)) as night:
        lost = cut(night, seconds)
        started = time.monotonic()
        guard = Timer(MOST_SECONDS, end, (night,))
        guard.start()
        again = told(night, started)
        status = night.process.wait(MOST_SECONDS)
        guard.cancel()
        took = time.monotonic() - started
        print(f"  the night ended {took:.0f} s after the cut, with status {status}")
        out = "".join(night.lines)
        wrong += [f"{row}: not done once\n{out}" for row in ROWS if out.count(f" {row}: done in ") != 1]
        is_cut = seconds > MOST_SECONDS
        wrong += [f"tried again: {again}; one row was on the machine that was cut off"] * (len(again) > is_cut)
        wrong += ["no row was cut off"] * (not lost or is_cut > len(again))
        wrong += [f"status {status}"] * (status != 0) + ["more than a line of an error"] * ("Traceback" in out)
        wrong += [f"the night left {command_of(pid)!r}" for pid in night.members()]
    print(f"  of {len(lost)} processes of ours that were cut off the last was gone after {leaving(lost):.0f} s")
    wrong += [f"{command_of(pid)!r} hangs on the machine that was cut off" for pid in lost if is_there(pid)]
    verified = subprocess.run(
        [sys.executable, "-c", AS_A_SCRIPT, "verify", "long", "twin"],
        cwd=project, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    print("  " + verified.stdout.strip().replace("\n", "\n  "))
    return wrong + [f"other bytes than here\n{verified.stderr}"] * (verified.returncode != 0)


def end(night: NightProcess) -> None:
    """End a night that hangs."""
    for pid in (*night.members(), night.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def cut(night: NightProcess, seconds: float) -> list[int]:
    """Cut the cable once both long rows are made; what of ours ran on the far machine then."""
    begun: set[str] = set()
    while begun != {"long", "twin"}:
        begun.add(night.wait_for("(long|twin): making, step").split()[1].rstrip(":"))
    ours = [pid for pid in processes(FAR) if WORKER in command_of(pid) or STATION in command_of(pid)]
    call("ip", "-n", HEAD, "link", "set", HEAD, "down")
    print(f"cut, while {' and '.join(sorted(begun))} were made")
    if seconds < MOST_SECONDS:
        Timer(seconds, call, ("ip", "-n", HEAD, "link", "set", HEAD, "up")).start()
    return ours


def told(night: NightProcess, started: float) -> list[str]:
    """Read to the end of the night, telling its lines; which rows were tried again."""
    again = []
    for line in night.read():
        print(f"  {time.monotonic() - started:5.1f} s  {line.rstrip()[:150]}", flush=True)
        again += re.findall(r"(\w+): tried again", line)
    return again


def leaving(pids: list[int]) -> float:
    """Seconds until none of these is there."""
    started = time.monotonic()
    while any(map(is_there, pids)) and time.monotonic() < started + LEAVING_SECONDS:
        time.sleep(0.1)
    return time.monotonic() - started


def is_there(pid: int) -> bool:
    """Whether a process lives."""
    return command_of(pid) != ""


if __name__ == "__main__":
    main()
