"""Plans and results as tables and sentences for a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from flows.sheet import Column, Sheet
from tasks.plan.groups import foreseen
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.plan.wording import capacity_in_words, count, listed, minutes, span, workers_in_words
from tasks.report.compare import Change
from tasks.report.score_catalogue import MAIN_SCORES, ScoreInfo
from tasks.report.triage import Kind
from tasks.report.wording import lasted
from tasks.variants.names import domain_of, step_of

SPREAD = ("directional_similarity",)  # scores whose mean and spread over variants are told; the CSV has all
ROWS_SHOWN = 40  # of a long plan
PASSES_SHOWN = 4
BASES = {  # of the estimates, the worst last
    "measured": "by what was measured here",
    "other recipes": "by earlier rows of other recipes",
    "guess": "not measured yet; nada plan --measure runs a few steps",
}


def plan_table(plan: Plan) -> RenderableType:
    """The rows of a night and what each would cost."""
    prose = [Column(name, is_prose=True) for name in ("from", "to", "recipe")]
    has_priorities = any(planned.row.priority for planned in plan.rows)
    first = [Column("priority", is_number=True)] if has_priorities else []
    sheet = Sheet(Column("domain"), *prose, *first, Column("steps", is_number=True), Column("state", is_prose=True))
    for planned in plan.rows[:ROWS_SHOWN]:
        row = planned.row
        priority = [str(row.priority)] if has_priorities else []
        cells = (row.domain, row.source, row.aim, row.recipe or row.method, *priority, _steps(planned), _state(planned))
        sheet.add(*cells, style="" if planned.state in ("train", "judge") else "dim")
    return Group(sheet, *_more(len(plan.rows), ""))


def plan_summary(plan: Plan) -> str:
    """The night in one or two sentences."""
    num, judged = len(plan.to_train), len(plan.to_judge)
    left_out = sum(planned.state == "left out" for planned in plan.rows)
    num_domains = len({domain_of(planned.domain) for planned in plan.rows})
    several = f" in {len(plan.rows)} rows" if plan.families else ""
    counts = f"{count(num_domains, 'domain')}{several}: {num} to train, "
    counts += f"{judged} to judge, " if judged else ""
    counts += f"{len(plan.rows) - num - judged - left_out} current"
    counts += f", {left_out} left out" if left_out else ""
    if not plan.working:
        return f"{counts}. Nothing to train.{_copies_warning(plan)}"
    basis = BASES[max((planned.cost.basis for planned in plan.working), key=list(BASES).index)]
    used = workers_in_words(plan)
    spread = max(planned.cost.spread for planned in plan.working)
    cost = (
        f"About {span(plan.forecast.seconds / 60, spread)} ({basis}) on {used}, {plan.disk_bytes / 1e6:.0f} MB of disk"
    )
    limit = plan.params.night.row_timeout_minutes
    slow = [planned.row.domain for planned in plan.to_train if planned.cost.own_seconds > 60 * limit]
    warning = f" {listed(slow)} may take longer than night.row_timeout_minutes ({limit:g})." if slow else ""
    warning += _together_note(plan) + _preparing_note(plan)
    warning += _deadline_warning(plan) + _noise_warning(plan) + _copies_warning(plan)
    warning += " The disk is too small: free some space." if any(disk.need > disk.free for disk in plan.disks) else ""
    shared = f" {capacity_in_words(plan.capacity)}" if plan.capacity else ""
    return f"{counts}. {cost} ({plan.disks[0].free / 1e9:.0f} GB free).{shared}{warning}"


def _together_note(plan: Plan) -> str:
    passes = [listed(domains) for domains in foreseen(plan)]
    more = f" and {len(passes) - PASSES_SHOWN} more such passes" if len(passes) > PASSES_SHOWN else ""
    return f" Made together: {'; '.join(passes[:PASSES_SHOWN])}{more}." if passes else ""


def _preparing_note(plan: Plan) -> str:
    seconds = sum(planned.cost.preparing_seconds for planned in plan.to_train)
    if not seconds:
        return ""
    about = minutes(seconds / 60)
    return f" About {about} of that is for what rows of a generator share and keep; nada prepare does it ahead."


def _deadline_warning(plan: Plan) -> str:
    now = datetime.now().astimezone()
    deadline, left = plan.deadline(now), plan.forecast.left
    if deadline is None or not left:
        return ""
    until = minutes((deadline - now).total_seconds() / 60)
    return f" The deadline (in {until}) leaves {count(len(left), 'domain')} for the next night: {listed(left)}."


def _noise_warning(plan: Plan) -> str:
    views = plan.params.guide.views
    if views.crop or views.flip or views.noise or plan.makes_noise:
        return ""
    return (
        f" {plan.params.generator.weights} has no noise of its own, and guide.views are all zero: edits may vanish; "
        "set them, such as crop: 0.2, flip: true, noise: 0.05."
    )


def _copies_warning(plan: Plan) -> str:
    if not plan.lost_copies:
        return ""
    verb = "is" if len(plan.lost_copies) == 1 else "are"
    paths = listed([str(path) for path in plan.lost_copies])
    return (
        f" Finished domains rebuild from {paths}, which {verb} missing or damaged: nada run copies the generator there "
        "again. Keep that generator until then."
    )


def changes_table(changes: Sequence[Change], names: tuple[str, str]) -> RenderableType:
    """Two nights side by side, a line a score; what has clearly changed is bold."""
    figures = [Column(name, is_number=True) for name in (*names, "change")]
    sheet = Sheet(Column("domain"), Column("score"), *figures)
    meanings = {meaning.name: meaning for meaning in MAIN_SCORES}
    previous = ""
    for change in changes:
        meaning = meanings[change.name]
        before, after = (
            "" if value is None else meaning.pattern.format(value) for value in (change.before, change.after)
        )
        words = "new" if change.before is None else "gone" if change.after is None else "within the intervals"
        if change.is_clear and change.before is not None and change.after is not None:
            words = "more" if change.after > change.before else "less"
        shown = change.domain if change.domain != previous else ""
        sheet.add(shown, meaning.label, before, after, words, style="bold" if change.is_clear else "")
        previous = change.domain
    return sheet


def leaderboard_table(
    board: Sequence[Mapping[str, Any]], failures: Mapping[str, str], verdicts: Mapping[str, Kind]
) -> RenderableType:
    """Domains, what came of them in a word, and their scores; lost rows below in red."""
    meanings = [meaning for meaning in MAIN_SCORES if any(entry.get(meaning.name) is not None for entry in board)]
    figures = [Column(name, is_number=True) for name in (*(meaning.label for meaning in meanings), "time")]
    several = [Column("taken", is_prose=True)] if any("taken" in entry for entry in board) else []
    sheet = Sheet(Column("domain"), Column("verdict"), *figures, *several)
    for entry in board[:ROWS_SHOWN]:
        domain, scores = entry["domain"], [_score(meaning, entry) for meaning in meanings]
        taken = [_taken(entry)] if several else []
        sheet.add(domain, verdicts.get(domain, ""), *scores, lasted(entry["seconds"]), *taken)
    lost = [Text(f"{domain}: {reason}", style="bold red") for domain, reason in failures.items()]
    if not board:
        return Group(*lost)
    return Group(sheet, *_more(len(board), ", in the report and in reports/leaderboard.csv"), *lost)


def _more(num_rows: int, where: str) -> list[Text]:
    return [Text(f"... and {num_rows - ROWS_SHOWN} more{where}")] if num_rows > ROWS_SHOWN else []


def _score(meaning: ScoreInfo, entry: Mapping[str, Any]) -> str:
    name = meaning.name
    if entry.get(name) is None:
        return ""
    before = entry.get(meaning.before or "")
    shown = meaning.shown(entry[name], entry[f"{name}_low"], entry[f"{name}_high"])
    return shown if before is None else f"{shown} (from {meaning.pattern.format(before)})"


def _taken(entry: Mapping[str, Any]) -> str:
    """Which of several variants a domain is, and how they differ."""
    if not entry["taken"]:
        return ""
    spread = [
        f"{meaning.label} {meaning.pattern.format(mean)} ±{meaning.pattern.format(entry[f'{meaning.name}_spread'])}"
        for meaning in MAIN_SCORES
        if meaning.name in SPREAD and (mean := entry.get(f"{meaning.name}_mean")) is not None
    ]
    return f"{entry['taken']} of {entry['variants']}" + (f": {', '.join(spread)}" if entry["variants"] > 1 else "")


def _steps(planned: PlannedRow) -> str:
    method, config = planned.method_object, planned.config
    if planned.checkpoint_of is not None:
        return str(step_of(planned.domain))
    return f"{'<= ' if method.is_judged_on_the_way(config) else ''}{method.num_steps(config)}"


def _state(planned: PlannedRow) -> str:
    if planned.state in ("train", "judge"):
        if planned.checkpoint_of is not None:
            return f"to take from {planned.checkpoint_of}"
        guess = ", not measured yet" if planned.cost.basis == "guess" else ""
        return f"to {planned.state}, about {span(planned.cost.seconds / 60, planned.cost.spread)}{guess}"
    return planned.state
