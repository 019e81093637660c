"""Everything that a night needs, looked at in the order in which it is told: what is quick first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nada.errors import InputError, ParamsError
from tasks.config.model import Params
from tasks.config.params import parse_params
from tasks.config.prompts import load_prompts
from tasks.health.finding import Finding, missing, ok
from tasks.health.machine import look_at_machine
from tasks.health.networks import look_at_networks
from tasks.health.stores import look_at_stores
from tasks.plan.devices import check_runner, find_workers
from tasks.plan.wording import count


def checkup(params_path: Path) -> Iterator[tuple[str, Finding]]:
    """Headings and findings; nothing is written, and nothing fetched.

    Args:
        params_path: params.yaml.
    """
    yield from (("machine", one) for one in look_at_machine())
    yield from (("records", one) for one in look_at_stores())
    if not params_path.is_file():
        begin = "nada init my-library, then cd my-library; or cd to the project, or pass --params"
        yield "project", missing("settings", f"{params_path}: no such file", begin)
        return
    try:
        params = parse_params(params_path)
    except ParamsError as err:
        yield "project", missing("settings", _lines(err), f"edit {params_path}")
        return
    yield "project", ok("settings", str(params_path))
    yield "project", _device(params)
    yield "project", _rows(params)
    yield from (("project", one) for one in look_at_networks(params))


def _device(params: Params) -> Finding:
    try:
        check_runner(params.night)
        if params.night.runner == "ray":
            return ok("workers", "of a Ray cluster")
        workers, _ = find_workers(params, num_rows=1)
    except InputError as err:
        return missing("workers", str(err), "night.device: auto takes what is there")
    return ok("workers", f"night.device: {params.night.device}, which is {workers[0].device}")


def _rows(params: Params) -> Finding:
    path = Path(params.night.prompts)
    try:
        return ok("rows", f"{count(len(load_prompts(path, params)), 'domain')} in {path}")
    except InputError as err:
        return missing("rows", _lines(err), f"edit {path}")


def _lines(err: InputError) -> str:
    return "; ".join(" ".join(line.split()) for line in str(err).splitlines())
