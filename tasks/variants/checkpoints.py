"""A checkpoint that a row's training kept, taken as a row of its own: the same files, and those weights."""

from __future__ import annotations

import shutil
from pathlib import Path

from nada.atomic import writing
from nada.errors import CheckpointError
from nada.methods.base import PROBES_NAME, TRACE_NAME, checkpoint_name, checkpoint_steps
from tasks.config.project import HERE
from tasks.plan.planned_row import PlannedRow
from tasks.store import row_folder
from tasks.store.record import STYLE_NAME, Making
from tasks.variants.names import step_of

TOLD = (TRACE_NAME, PROBES_NAME, STYLE_NAME)
"""Files of how it was made."""


def kept_steps(making: Making) -> list[int]:
    """After which steps a row's weights were kept, beside those that it is."""
    return checkpoint_steps(making.files)


def take_checkpoint(planned: PlannedRow) -> Making:
    """Publish a checkpoint of a row that is made as the planned row; returns what was recorded.

    Raises:
        CheckpointError: the row kept none of that step.
        OutputError: the folder cannot be written.
    """
    name, step = planned.checkpoint_of, step_of(planned.domain)
    assert name is not None and step is not None
    making = row_folder.read_making(name)
    weights = making.method_object.weights_name
    is_own = step == making.kept_step  # picked before the judge came to take that step
    if weights is None or not (is_own or step in kept_steps(making)):
        raise CheckpointError(f"{name}: {kept_in_words(making)}, none of step {step}; nada pick shows them")
    partial = row_folder.partial_dir(planned.domain)
    try:
        with writing(partial):
            _copy(HERE.adapted / name / (weights if is_own else checkpoint_name(step)), partial / weights)
            for file in making.files.keys() & set(TOLD):
                _copy(HERE.adapted / name / file, partial / file)
        part = making.method_object.of_checkpoint(making.method_part, step)
        changes = {
            "domain": planned.domain,
            "key": planned.keys.making,
            "row": planned.row,
            "kept_step": step,
            "part": part.model_dump(mode="json"),
            "group": {planned.domain: planned.keys.making},
            "seconds": {},
        }
        taken = row_folder.write_making(partial, making.model_copy(update=changes))
        row_folder.publish(partial, planned.domain)
        return taken
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def kept_in_words(making: Making) -> str:
    """Which checkpoints there are."""
    steps = kept_steps(making)
    if not steps:
        return f"keeps step {making.kept_step} alone (its recipe has no adapt.checkpoints)"
    return f"keeps step {making.kept_step}, and beside it {', '.join(map(str, steps))}"


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
