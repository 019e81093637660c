"""Child processes that never outlive the process that started them, however that ends."""

from __future__ import annotations

import os
import threading
import time

WATCH_SECONDS = 1.0


def end_with_parent(parent_pid: int) -> None:
    """End this process soon after its parent is gone, whatever it is doing.

    The kernel's own signal for this (PDEATHSIG) would come when the parent's *thread* that started us ends.
    """

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(WATCH_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
