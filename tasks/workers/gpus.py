"""What the GPUs of this machine say of themselves: the only caller of torch.cuda's figures of memory.

    python -m tasks.workers.gpus    # prints {"cuda:0": free bytes, ...}

None of this was run on a GPU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # without one of them torch finds no GPU
ASKING_SECONDS = 120.0


def gpus() -> list[str]:
    """Their names: `cuda:0` and so on."""
    if not any(Path(name).exists() for name in GPU_FILES):
        return []
    import torch  # seconds; only asked where there may be one

    return [f"cuda:{index}" for index in range(torch.cuda.device_count())]


def free_bytes() -> dict[str, int]:
    """GPU -> free memory; none where they do not say.

    A process of its own asks, for CUDA would keep some of that memory in this one all night.
    """
    command = [sys.executable, "-P", "-m", "tasks.workers.gpus"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=ASKING_SECONDS, check=True)
        return {str(name): int(free) for name, free in json.loads(asked.stdout).items()}
    except (OSError, subprocess.SubprocessError, ValueError, AttributeError):
        return {}


def forget_peak(device: str) -> None:
    """Begin to watch what this process takes of a GPU."""
    if device != "cpu":
        import torch

        # Before the first use of CUDA torch refuses, and there is nothing to forget: a row's models come later.
        if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int | None:
    """The most that this process took of a GPU since `forget_peak`; None on a CPU."""
    if device == "cpu":
        return None
    import torch

    return int(torch.cuda.max_memory_reserved(device))


def main() -> None:
    """Print the free memory of every GPU."""
    import torch

    print(json.dumps({name: torch.cuda.mem_get_info(name)[0] for name in gpus()}))


if __name__ == "__main__":
    main()
