"""Workers that die, hang or fail lose their own row alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nada.errors import ImageError
from tasks.workers.idle import RowTimeoutError, WorkersStoppedError
from tasks.workers.local import Limit, WorkerPool
from tasks.workers.news import Progress
from tasks.workers.pool import RowFailedError, WorkerDiedError, WorkerSpec

ROWS = """
import os, time
from tasks.workers.news import Progress
from nada.errors import ImageError

seen = []

def row(job, progress):
    progress(Progress(domain=job.name, step=1, total=2, loss=0.5, phase="make"))
    seen.append(job.name)
    if job.name == "die":
        print("out of memory, said the kernel", flush=True)
        os.kill(os.getpid(), 9)
    if job.name == "hang":
        time.sleep(600)
    if job.name == "stop":
        os.kill(os.getpid(), 19)
    if job.name == "break off":
        pipe = progress.__closure__[0].cell_contents
        os.write(pipe.fileno(), (1000).to_bytes(4, "big") + b"half a message")
        os._exit(3)
    if job.name == "fail":
        raise ValueError("no such colour")
    if job.name == "input":
        raise ImageError("a.png: damaged")
    return {"pid": os.getpid(), "seen": list(seen), "device": job.device, "threads": job.threads}
"""
FUNCTION = "fake_rows:row"
SPEC = WorkerSpec(device="cpu", threads=1)
LONG = 120.0


@dataclass(frozen=True)
class Job:
    name: str
    device: str = ""
    threads: int = 0


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerPool]:
    folder = tmp_path_factory.mktemp("rows")
    (folder / "fake_rows.py").write_text(ROWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        with WorkerPool([SPEC]) as pool:
            yield pool


def run(pool: WorkerPool, name: str, timeout_seconds: float = LONG) -> dict[str, object]:
    result: dict[str, object] = pool.run(FUNCTION, Job(name), timeout_seconds=timeout_seconds)
    return result


def test_a_worker_keeps_its_memory_between_rows_and_tells_its_progress(pool: WorkerPool) -> None:
    heard: list[Progress] = []
    first = run(pool, "a")
    second = pool.run(FUNCTION, Job("b"), heard.append, timeout_seconds=LONG)
    assert second["pid"] == first["pid"] == pool.workers[0].process.pid
    assert second["seen"][-2:] == ["a", "b"]
    assert (second["device"], second["threads"]) == ("cpu", 1)
    assert oom_score(second["pid"]) == min(1000, oom_score("self") + 500)  # the kernel takes it before the flow
    assert heard == [Progress(domain="b", step=1, total=2, loss=0.5, phase="make")]


def test_a_job_goes_to_the_worker_that_did_the_last_one_about_the_same_and_any_other_to_an_idle_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake_rows.py").write_text(ROWS)
    monkeypatch.syspath_prepend(str(tmp_path))

    def pid(about: str) -> int:
        found: int = pool.run(FUNCTION, Job(about), timeout_seconds=LONG, about=about)["pid"]
        return found

    with WorkerPool([SPEC, SPEC]) as pool:
        sketch, robot = pid("sketch"), pid("robot")
        assert sketch != robot
        assert [pid("sketch"), pid("sketch"), pid("robot"), pid("sketch")] == [sketch, sketch, robot, sketch]
        assert pid("a third one") == robot  # which waited longer


def test_a_row_that_raises_leaves_its_worker_warm(pool: WorkerPool) -> None:
    before = run(pool, "a")["pid"]
    with pytest.raises(RowFailedError, match=r"^ValueError: no such colour$") as caught:
        run(pool, "fail")
    assert "fake_rows.py" in caught.value.details
    with pytest.raises(ImageError, match=r"^a\.png: damaged$"):
        run(pool, "input")
    assert run(pool, "b")["pid"] == before


def test_a_killed_worker_loses_its_row_and_is_replaced(pool: WorkerPool) -> None:
    before = run(pool, "a")["pid"]
    with pytest.raises(WorkerDiedError) as caught:
        run(pool, "die")
    assert str(caught.value) == (
        "the worker process died (signal SIGKILL, as Linux sends when memory runs out: lower night.micro_batch or "
        "night.workers; its last words: out of memory, said the kernel)"
    )
    after = run(pool, "b")
    assert after["pid"] != before
    assert after["seen"] == ["b"]


def test_a_worker_that_is_killed_while_it_has_nothing_to_do_costs_no_row(pool: WorkerPool) -> None:
    before = run(pool, "a")["pid"]
    pool.workers[0].kill()
    after = run(pool, "b")
    assert after["pid"] != before
    assert after["seen"] == ["b"]


def test_a_hanging_row_is_killed_at_its_limit(pool: WorkerPool) -> None:
    run(pool, "a")
    pid = pool.workers[0].process.pid
    with pytest.raises(RowTimeoutError, match=r"^no result within 0\.5 s; the worker was killed$"):
        run(pool, "hang", timeout_seconds=0.5)
    assert not lives(pid)
    assert run(pool, "b")["seen"] == ["b"]


def test_a_stopped_worker_is_ended_at_its_limit_also_before_it_takes_its_job(pool: WorkerPool) -> None:
    """Its pipe has no room for the job, so that whoever sends it waits as well."""
    run(pool, "a")
    pid = pool.workers[0].process.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RowTimeoutError, match=r"^no result within 0\.5 s; the worker was killed$"):
        run(pool, "b" * 10_000_000, timeout_seconds=0.5)
    assert not lives(pid)
    with pytest.raises(RowTimeoutError):
        run(pool, "stop", timeout_seconds=5.0)
    assert run(pool, "b")["seen"] == ["b"]


def test_an_answer_that_was_given_before_the_limit_counts(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader is late, as on a machine that has other things to do."""
    limits: list[Limit] = []

    def kept(*arguments: Any) -> Limit:
        limits.append(Limit(*arguments))
        return limits[-1]

    def is_late(_: Progress) -> None:
        assert pool.workers[0].pipe.poll(LONG)  # the answer is there
        limits[-1]._over()  # and now the limit ends who gave it
        pool.workers[0].process.wait(LONG)

    monkeypatch.setattr("tasks.workers.local.Limit", kept)
    run(pool, "a")
    assert pool.run(FUNCTION, Job("c"), is_late, timeout_seconds=LONG)["seen"][-1] == "c"
    assert run(pool, "b")["seen"] == ["b"]


def test_a_worker_that_ends_in_the_middle_of_a_message_has_died(pool: WorkerPool) -> None:
    with pytest.raises(WorkerDiedError, match=r"^the worker process died \(exit status 3\)$"):
        run(pool, "break off")
    assert run(pool, "b")["seen"] == ["b"]


def test_a_caller_that_breaks_off_does_not_confuse_the_next(pool: WorkerPool) -> None:
    def interrupt(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.run(FUNCTION, Job("a"), interrupt, timeout_seconds=LONG)
    assert run(pool, "b")["seen"] == ["b"]


def test_closing_the_pool_frees_threads_that_run_and_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_rows.py").write_text(ROWS)
    monkeypatch.syspath_prepend(str(tmp_path))
    pool = WorkerPool([SPEC])
    running = threading.Event()
    ends: list[str] = []

    def call(name: str) -> None:
        try:
            pool.run(FUNCTION, Job(name), lambda _: running.set(), timeout_seconds=LONG)
        except WorkersStoppedError:
            ends.append(name)

    threads = [threading.Thread(target=call, args=(name,)) for name in ("hang", "hang")]
    for thread in threads:
        thread.start()
    assert running.wait(60)
    pool.close()
    for thread in threads:
        thread.join(LONG)
    assert ends == ["hang", "hang"]
    assert not lives(pool.workers[0].process.pid)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    hanging = """
        import os, time
        from dataclasses import dataclass

        @dataclass(frozen=True)
        class Job:
            device: str = ""
            threads: int = 0

        def hang(job, tell):
            tell(os.getpid())
            time.sleep(600)
        """
    parent = """
        from functools import partial
        from hanging import Job
        from tasks.workers.pool import WorkerSpec
        from tasks.workers.local import WorkerPool

        with WorkerPool([WorkerSpec(device="cpu", threads=1)]) as pool:
            pool.run("hanging:hang", Job(), partial(print, flush=True), timeout_seconds=600)
        """
    for name, code in {"hanging.py": hanging, "parent.py": parent}.items():
        (tmp_path / name).write_text(textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        worker = int(process.stdout.readline())  # in the middle of a job, which it does not leave by itself
        assert lives(worker)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + LONG
    while lives(worker) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not lives(worker)


def oom_score(pid: object) -> int:
    """What Linux adds when it chooses whom to kill for memory."""
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text())


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
