"""Plans of the project in the working folder, and rows finished as they say, without a night."""

from __future__ import annotations

from pathlib import Path

from tasks.plan.plan import Plan
from tasks.plan.planning import make_plan
from tests.rows import publish_whole

PARAMS_PATH = Path("params.yaml")
HEADER = "domain,source,target,recipe,iterations,seed,generator,on,reference_images"


def plan(*only: str) -> Plan:
    """The plan of the project in the working folder."""
    return make_plan(PARAMS_PATH, only)


def states(*only: str) -> dict[str, str]:
    """Domain -> what a night would do about it."""
    return {planned.domain: planned.state for planned in plan(*only).rows}


def making_keys() -> dict[str, str]:
    """Domain -> its key of making."""
    return {planned.domain: planned.keys.making for planned in plan().rows}


def finish(*domains: str) -> None:
    """As a night would have finished these rows; all of them by default."""
    for planned in plan().rows:
        if not domains or planned.domain in domains:
            publish_whole(planned.domain, planned.keys)


def prompts(*rows: str) -> None:
    """Replace prompts.csv; cells that a row lacks are empty."""
    num_columns = len(HEADER.split(","))
    lines = [row + "," * (num_columns - 1 - row.count(",")) for row in rows]
    Path("prompts.csv").write_text("\n".join([HEADER, *lines]) + "\n")


def change(old: str, new: str) -> None:
    """One place of params.yaml."""
    text = PARAMS_PATH.read_text()
    assert text.count(old) == 1, text
    PARAMS_PATH.write_text(text.replace(old, new))
