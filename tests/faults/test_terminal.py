"""Nobody has to hear a night: output that is refused is dropped. test_server.py closes a night's terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

WRITE = """
import sys
from flows.cli.terminal import LastingOutput
output = LastingOutput(sys.stdout)
for _ in range(3):
    output.write("x" * 100_000)
    output.flush()
print("still here", file=sys.stderr)
"""


def closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize("opened", [closed_pipe, lambda: os.open("/dev/full", os.O_WRONLY)], ids=["pipe", "full disk"])
def test_output_that_is_refused_is_dropped_and_the_status_stays_right(opened: Callable[[], int]) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", WRITE]
    with os.fdopen(opened(), "w") as output:
        result = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, "still here\n")
