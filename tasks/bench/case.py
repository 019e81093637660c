"""One case in a process of its own: steps of a row, and of the next row, which meets a source that is known by then.

    python -m tasks.bench.case '{"params": "params.yaml", "name": "mapper", "steps": 3, ...}'

It prints what it measured as JSON, on the last line.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nada.clip.goal import PromptPair
from nada.errors import NadaError
from nada.methods.base import Assignment, Method, RowError
from nada.methods.registry import find_method

GOALS = (PromptPair("photo", "pencil sketch"), PromptPair("photo", "neon lights"))
"""Of the two rows."""
CASES: dict[str, dict[str, Any]] = {
    "adapt, full": {},
    "adapt, k auto": {"selection": {"k": "auto"}},
    "adapt, modulation": {"parameters": "modulation"},
    "adapt, style-offset": {"parameters": "style-offset"},
    "mapper": {"keep": "last"},  # a whole row looks back every fifty steps; a short one would after its last
    "optimise": {},
}
"""Method, and the name of a variant -> what differs from its section of params.yaml. Directions take no steps."""
WARM_STEPS = 1


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is measured, and how."""

    name: str
    """Of CASES."""
    params: str
    steps: int
    """After one to warm up."""
    device: str = "cpu"
    threads: int = 1
    batch_size: int | None = None
    """Pictures a step; None: as params.yaml says."""
    resolution: int | None = None
    family: str = "stylegan2"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds are of the processor on a CPU and of the clock on a GPU: medians over the steps."""

    batch_size: int
    iterations: int
    """Of a row, at most."""
    import_seconds: float
    load_seconds: float
    first_step_seconds: float
    """Once everything is loaded, with what a row computes before it."""
    step_seconds: float
    """Of a worker's first row."""
    next_step_seconds: float
    """Of a later row of the same source, guide and seed."""
    phases: dict[str, float]
    """Of a first row's step."""
    peak_bytes: int | None
    """While steps ran, models included."""


def config_of(case: Case, sections: Mapping[str, Any]) -> tuple[Method[Any, Any], Any, int]:
    """The method, the settings of the short row, and the iterations of a whole one."""
    name, changes = case.name.partition(",")[0], CASES[case.name]
    method = find_method(name)
    content = sections[name].model_dump() if name in sections else {}
    if case.batch_size is not None:
        changes = {**changes, "batch_size": case.batch_size}
    selection = {**content.get("selection", {}), **changes.get("selection", {})}
    content |= changes | ({"selection": selection} if selection else {})
    if "batch_size" not in method.config_model.model_fields:
        content.pop("batch_size", None)
    whole = method.config_model.model_validate(content)
    return method, method.with_steps(whole, WARM_STEPS + case.steps), method.num_steps(whole)


def measure(case: Case, started: float = 0.0) -> Measured:
    """Run two short rows.

    Args:
        case: what is measured.
        started: seconds of the processor when the process had done nothing yet.

    Raises:
        NadaError: the row cannot be made.
    """
    import torch

    from nada.clip import open_clip_import  # noqa: F401 (takes seconds, and is no part of loading)
    from tasks.bench.stopwatch import PHASES, Stopwatch, forget_peak, peak_bytes
    from tasks.bench.subject import Subject
    from tasks.config.params import load_params

    torch.set_num_threads(case.threads)
    watch = Stopwatch(case.device)
    imported = time.process_time()
    params = load_params(Path(case.params))
    models = Subject(resolution=case.resolution, family=case.family).models(params, case.device)
    method, config, iterations = config_of(case, params.methods)
    import_module(method.entry)  # before it is watched
    loading = watch.now()
    network, _ = models.source_generator, models.guide
    begun = loaded = watch.now()
    forget_peak(case.device)
    rows: list[dict[str, list[float]]] = []
    first_step = 0.0
    with watch.watching(network):
        for goal in GOALS:
            seconds: dict[str, list[float]] = defaultdict(list)
            assignment = Assignment(row=goal.target, goal=goal, config=config, seed=0, storage="delta")
            watch.seconds.clear()
            before = watch.now()
            for news in method.begin([assignment], models):
                if isinstance(news, RowError):
                    raise news.error
                if news.note:
                    continue
                seconds["step"].append(watch.now() - before)
                for phase in PHASES:
                    seconds[phase].append(watch.seconds.pop(phase, 0.0))
                first_step = first_step or watch.now() - begun
                before = watch.now()
            rows.append(seconds)
    typical = [{name: statistics.median(taken[WARM_STEPS:]) for name, taken in seconds.items()} for seconds in rows]
    return Measured(
        batch_size=method.pictures_per_step(config),
        iterations=iterations,
        import_seconds=imported - started,
        load_seconds=loaded - loading,
        first_step_seconds=first_step,
        step_seconds=typical[0].pop("step"),
        next_step_seconds=typical[1]["step"],
        phases=typical[0],
        peak_bytes=peak_bytes(case.device),
    )


def main() -> None:
    """Measure the case that the command line describes."""
    try:
        found = asdict(measure(Case(**json.loads(sys.argv[1]))))
    except NadaError as err:
        found = {"error": str(err)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
