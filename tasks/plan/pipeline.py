"""What DVC asks of this project: what a night would be made from, and which rows are missing after it.

DVC runs a night when `weights/inputs.json` is another one than before the last night. It holds the keys by which
`nada plan` knows a row, so that both see the same: a replaced picture, checkpoint or CLIP, an edit of code that a row
runs. A row that a night did not finish has its number of attempts in there, so that the next `dvc repro` tries again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nada.atomic import replacing
from nada.errors import NadaError
from nada.hashing import sha256_file
from tasks.caches.whole_rows import whole_rows
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.config.prompts import load_prompts
from tasks.plan.plan import Plan, families_of
from tasks.plan.planned_row import PlannedRow
from tasks.plan.planning import Resolver
from tasks.status.status_file import load_status
from tasks.store import pretrained, row_folder
from tasks.store.attempts import count_attempts, load_attempts
from tasks.store.locks import refuse_during_a_night
from tasks.store.row_folder import RowState
from tasks.variants.names import variant_of
from tasks.variants.picks import picks_of
from tasks.variants.published import among, unpublished

FORMAT = 1
MISSING = {
    "absent": "not made from the inputs of now",
    "made": "made, not judged with the inputs of now",
    "judged": "judged, not among the prompts of now",
}
NO_TIME = "the deadline left no time for it"


def write_inputs(params_path: Path) -> Path:
    """Write what decides every row to `weights/inputs.json`, and what decides the generators to `generators.json`.

    Equal inputs make equal bytes; a file that has them is not touched.

    Returns:
        The first of the two.

    Raises:
        InputError: params, prompts, weights or reference pictures cannot be used; a file cannot be written; or a night
            runs, whose results are of what was written before.
    """
    refuse_during_a_night(HERE.inputs)
    resolver = _resolver(params_path)
    attempts = load_attempts()
    rows = {
        one.domain: {**asdict(one.keys), **({"attempts": attempts[one.domain]} if one.domain in attempts else {})}
        for one in resolver.keyed()
    }
    generators = pretrained.prepare_all(resolver.params, resolver.rows.values())
    preparations = {key for one in resolver.keyed() for key in one.prepared}
    picks = [[pick.domain, pick.variant, pick.step] for pick in picks_of(rows).values()]
    _write(HERE.inputs, {"format": FORMAT, "rows": rows, **({"picks": sorted(picks)} if picks else {})})
    _write(HERE.preparations, {"format": FORMAT, "prepared": sorted(preparations)})
    _write(HERE.generators, {one.path.name: sha256_file(Path(weights)) for weights, one in generators.items()})
    return HERE.inputs


def missing_rows(params_path: Path) -> dict[str, str]:
    """Rows of which something is missing: domain -> what, and why the last night did not do it, if that is known.

    Raises:
        InputError: params, prompts, weights or reference pictures cannot be used.
    """
    reasons, rows = _reasons(), _resolver(params_path).keyed()
    unfinished = _unfinished(rows)
    missing = {
        domain: "; ".join([MISSING[state], *([f"the last night: {reasons[domain]}"] if domain in reasons else [])])
        for domain, state in unfinished.items()
    }
    return {**missing, **_stale([one for one in rows if one.domain not in unfinished], rows)}


def settle(plan: Plan) -> None:
    """Owe what a night that is over did not finish, so that DVC, for which it ended well, runs another.

    Raises:
        OutputError: it cannot be written down.
    """
    count_attempts(_unfinished(plan.rows), plan.by_domain)


def _resolver(params_path: Path) -> Resolver:
    params = load_params(params_path)
    rows = load_prompts(Path(params.night.prompts), params)
    return Resolver(params, rows)


def _unfinished(rows: Sequence[PlannedRow]) -> dict[str, RowState]:
    with whole_rows() as whole:
        states = {one.domain: whole.state_of(one.domain, one.keys) for one in rows}
    return {domain: state for domain, state in states.items() if state != "whole"}


def _stale(finished: Sequence[PlannedRow], rows: Sequence[PlannedRow]) -> dict[str, str]:
    """Domains of several rows whose folder is not the row that is to be taken, and what to do."""
    records = {one.domain: row_folder.read_record(one.domain) for one in finished if variant_of(one.domain)}
    picks, stale = picks_of(records), {}
    for domain, family in families_of(rows).items():
        choice = unpublished(domain, among(records, family), picks.get(domain), len(family))
        if choice is not None:
            stale[domain] = f"its folder is not {choice.name}, which is to be taken; nada run does it"
    return stale


def _reasons() -> dict[str, str]:
    """Domain -> why the last night did not finish it, as far as its status tells."""
    try:
        status = load_status()
    except NadaError:
        return {}
    if status is None:
        return {}
    return {**dict.fromkeys(status.left, NO_TIME), **dict.fromkeys(status.held, status.stopped or ""), **status.failed}


def _write(path: Path, content: dict[str, Any]) -> None:
    text = (json.dumps(content, indent=2, sort_keys=True) + "\n").encode()
    if not path.is_file() or path.read_bytes() != text:
        with replacing(path) as partial:
            partial.write_bytes(text)
