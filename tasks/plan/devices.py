"""On what a night runs: this machine's cores or GPUs, or those of a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from nada.errors import ParamsError
from tasks.config.model import NightConfig, Params
from tasks.plan.capacity import Capacity, Need, share_gpus
from tasks.workers.gpus import free_bytes, gpus
from tasks.workers.local import WorkerPool
from tasks.workers.pool import Pool, WorkerSpec, plan_workers
from tasks.workers.ray import cluster


def check_runner(night: NightConfig) -> None:
    """Refuse a night on Ray where there is none, before anything else.

    Raises:
        ParamsError: the extra is not installed.
    """
    if night.runner == "ray":
        cluster.check_installed()


def find_workers(
    params: Params, num_rows: int, need: Callable[[], Need] | None = None
) -> tuple[list[WorkerSpec], Capacity | None]:
    """The night's workers, and what was found of its GPUs where that decides.

    Args:
        params: whose `night` says what to use.
        num_rows: of the CSV.
        need: what a row needs on a GPU; asked only where it matters.

    Raises:
        ParamsError: a device that this machine or the cluster lacks, or no cluster.
    """
    night = params.night
    if night.runner == "ray":
        if night.ray_address is None:
            return ray_workers(night, {"CPU": cores(), "GPU": len(gpus())}, num_rows), None
        return ray_workers(night, cluster.resources(night.ray_address), num_rows), None
    wanted = [name.strip() for name in night.device.split(",")]
    if wanted == ["cpu"]:
        found = ["cpu"]
    else:
        known = gpus()
        found = (known or ["cpu"]) if wanted == ["auto"] else ["cuda:0" if name == "cuda" else name for name in wanted]
        missing = [name for name in found if name not in (*known, "cpu")]
        if missing or ("cpu" in found and len(found) > 1):
            raise ParamsError(
                f"night.device: {night.device!r} cannot be used; allowed are 'auto', 'cpu' and GPUs "
                f"(this machine's: {', '.join(known) or 'none'})"
            )
    if night.workers != "auto":
        return plan_workers(found, cores(), night.workers, num_rows), None
    capacity = None
    if found != ["cpu"] and need is not None:
        free = {name: num_bytes for name, num_bytes in free_bytes().items() if name in found}
        capacity = share_gpus(free, need(), cores(), num_rows) if free.keys() == set(found) else None
    return plan_workers(found, cores(), None, num_rows, capacity.each if capacity else None), capacity


def ray_workers(night: NightConfig, resources: Mapping[str, float], num_rows: int) -> list[WorkerSpec]:
    """The workers that a cluster has room for; each sees one GPU, which Ray chooses and calls its first.

    Args:
        night: `device` and `workers` of it.
        resources: `CPU` and `GPU` in all.
        num_rows: of the CSV.

    Raises:
        ParamsError: a device that the cluster lacks, or that only Ray may choose.

    >>> night = NightConfig(device="auto", runner="ray")
    >>> ray_workers(night, {"CPU": 16.0, "GPU": 2.0}, num_rows=100)
    [WorkerSpec(device='cuda:0', threads=8), WorkerSpec(device='cuda:0', threads=8)]
    """
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    kinds = {"auto": gpus > 0, "cpu": False, "cuda": True}
    if night.device not in kinds or (kinds[night.device] and not gpus):
        raise ParamsError(
            f"night.device: {night.device!r} cannot be used; on Ray, which chooses among its {gpus} GPUs itself, "
            "allowed are 'auto', 'cpu' and 'cuda'"
        )
    workers = None if night.workers == "auto" else night.workers
    return plan_workers(["cuda:0"] * gpus if kinds[night.device] else ["cpu"], cpus, workers, num_rows)


def open_pool(night: NightConfig, specs: Sequence[WorkerSpec]) -> Pool:
    """Start the night's workers.

    Raises:
        ParamsError: no Ray, or none of its machines can be used.
    """
    if night.runner == "local":
        return WorkerPool(list(specs))
    from tasks.workers.ray.pool import RayPool  # the only part of nada that an extra brings

    return RayPool(list(specs), night.ray_address, per_gpu=1 if night.workers == "auto" else night.workers)


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
