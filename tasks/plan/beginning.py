"""How a night begins: alone in its project, with everything brought back that need not be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasks.config.prompts import load_prompts
from tasks.plan.devices import check_runner
from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan, read_params
from tasks.store import base_models, dvc_history, old_rows
from tasks.store.locks import only_night
from tasks.variants.published import adopt, publish_domains


class Beginning(NamedTuple):
    """A plan, and what was done so that it is as short as can be."""

    plan: Plan
    restored: list[str]
    """Domains brought back from DVC's cache."""
    taken: list[str]
    """Domains taken over from an older version."""
    healed: list[Path]
    """Copies of generators that finished rows need, and that were missing or damaged."""


@contextmanager
def only_writer(params_path: Path, prompts: Path | None = None, here: bool = True) -> Iterator[None]:
    """Keep whoever else writes out of the project: whatever is decided in the block is decided on what stays as it is.

    Settings and prompts that cannot be read are told before anything is written, the lock included.

    Args:
        params_path: params.yaml.
        prompts: the CSV, in place of `night.prompts`.
        here: whether nothing is done on other machines.

    Raises:
        InputError: settings or prompts cannot be used, or somebody else writes.
    """
    params = read_params(params_path, here, prompts)
    check_runner(params.night)
    load_prompts(Path(params.night.prompts), params)
    with only_night():
        yield


def plan_to_run(params_path: Path, only: Sequence[str] = (), prompts: Path | None = None) -> Beginning:
    """`make_plan` for a night that begins now: what need not be made is fetched first, and what rows rebuild from kept.
    That CLIPs can be loaded is left to the workers, which keep them.

    Raises:
        InputError: as for `make_plan`, a row cannot be written, or another night runs.
    """
    with only_night():
        plan = make_plan(params_path, only, prompts=prompts, loads_clips=False)
        restored = dvc_history.restore({planned.domain: planned.keys.making for planned in plan.to_train})
        taken = old_rows.take_over(plan.to_take_over)
        if restored or taken:
            plan = make_plan(params_path, only, prompts=prompts, loads_clips=False)
        plan = _arranged(plan, params_path, only, prompts)
        healed = [path for path in map(base_models.keep, plan.kept_for_rows) if path is not None]
        return Beginning(plan, restored, taken, healed)


def plan_arranged(params_path: Path) -> Plan:
    """`make_plan` for what was picked just now: domains of several rows are what they are to be, if that is made.

    Raises:
        InputError: as for `make_plan`, a folder cannot be written, or a night runs.
    """
    with only_night():
        return _arranged(make_plan(params_path, here=True), params_path)


def _arranged(plan: Plan, params_path: Path, only: Sequence[str] = (), prompts: Path | None = None) -> Plan:
    if adopt(plan):
        plan = make_plan(params_path, only, prompts=prompts, loads_clips=False)
    publish_domains(plan)
    return plan
