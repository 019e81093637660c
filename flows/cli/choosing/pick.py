"""What `nada pick` shows and does, apart from the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from flows.sheet import Column, Sheet
from nada.errors import ParamsError, PromptsError, quoted
from tasks.config.project import HERE
from tasks.plan.plan import Plan
from tasks.plan.planned_row import PlannedRow
from tasks.report.score_catalogue import SCORES, at_a_glance
from tasks.report.triage import triage
from tasks.store import row_folder
from tasks.store.record import RecordError
from tasks.variants.cells import variant_name
from tasks.variants.checkpoints import kept_steps
from tasks.variants.choice import Choice, choose
from tasks.variants.names import domain_of, step_of, variant_of
from tasks.variants.picks import Pick, load_picks, matching, save_picks
from tasks.variants.published import finished


@dataclass(frozen=True)
class Choosable:
    """A domain and what there is to choose from."""

    domain: str
    plan: Plan
    variants: dict[str, PlannedRow]
    """Variant -> its row, those of checkpoints aside."""
    rows: list[PlannedRow]
    """All of them."""

    @classmethod
    def of(cls, plan: Plan, domain: str) -> Choosable:
        """From a plan that has it."""
        rows = [planned for planned in plan.rows if domain_of(planned.domain) == domain]
        trained = [planned for planned in rows if step_of(planned.domain) is None]
        return cls(domain, plan, {variant_name(row.row, plan.params): row for row in trained}, rows)

    @property
    def choice(self) -> Choice | None:
        """What the domain is now; None while nothing of it is finished."""
        found = finished(self.rows)
        return choose(self.domain, found, self.plan.picks.get(self.domain), len(self.rows)) if found else None

    def steps(self, variant: str) -> list[int]:
        """Checkpoints that a variant has beside its own weights; none where it is not made with the inputs of now."""
        planned = self.variants[variant]
        if planned.state not in ("current", "judge"):
            return []
        return kept_steps(row_folder.read_making(planned.domain))


def picked(choosable: Choosable, text: str | None, step: int | None) -> Pick:
    """What the words of a command line mean.

    Args:
        choosable: the domain.
        text: a variant, a seed or a recipe; None for the one that the domain is now.
        step: of a checkpoint.

    Raises:
        ParamsError: there is no such variant, or it kept no such checkpoint.
    """
    domain, names = choosable.domain, list(choosable.variants)
    if text is None:
        choice = choosable.choice
        found = names if len(names) == 1 or choice is None else [variant_of(choice.name).partition("_")[0]]
    else:
        found = matching(text, names)
    if len(found) != 1:
        few = f"may be {quoted(found)}; write it whole" if found else f"is none of {quoted(names)}"
        raise ParamsError(f"{domain}: {text or 'the variant'!r} {few}")
    variant = found[0]
    if step is None and len(names) == 1:
        more = "more of them: tries, seeds or recipe in its line of the CSV; a checkpoint: --step"
        raise ParamsError(f"{domain} has one variant, {variant}, so there is nothing to pick; {more}")
    planned = choosable.variants[variant]
    if step is not None and planned.state in ("current", "judge"):
        making = row_folder.read_making(planned.domain)
        if step == making.kept_step:
            step = None
        elif step not in (steps := kept_steps(making)):
            kept = f"it is step {making.kept_step} and kept {', '.join(map(str, steps)) or 'no other'}"
            advice = "" if steps else "; adapt.checkpoints in a recipe with stop: auto keeps some"
            raise ParamsError(f"{domain}: {variant} has no checkpoint of step {step}; {kept}{advice}")
    return Pick(domain, variant, step)


def keep(pick: Pick) -> None:
    """Write a pick in its domain's line, or below the others.

    Raises:
        OutputError: picks.csv cannot be written.
    """
    save_picks({**load_picks(), pick.domain: pick})


def take_back(domain: str) -> None:
    """Leave a domain to the judge.

    Raises:
        PromptsError: nothing was picked for it.
        OutputError: picks.csv cannot be written.
    """
    picks = load_picks()
    if domain not in picks:
        raise PromptsError(f"{HERE.picks}: nothing is picked for {domain!r}; the judge chooses already")
    del picks[domain]
    save_picks(picks)


def choices(choosable: Choosable) -> RenderableType:
    """The variants of a domain, what the judge says of each, and the checkpoints that can be had."""
    records = finished(choosable.rows)
    choice = choosable.choice
    glance = at_a_glance({name for record in records.values() for name in record.scores})
    meanings = [meaning for meaning in SCORES if meaning in glance]
    figures = [Column(meaning.label, is_number=True) for meaning in meanings]
    sheet = Sheet(Column("variant"), Column("verdict"), *figures, Column("step", is_number=True), Column(""))
    for planned in choosable.rows:
        variant = variant_of(planned.domain) or next(iter(choosable.variants))
        record = records.get(planned.domain)
        if record is None:
            sheet.add(variant, "", *("" for _ in meanings), "", "unfinished", style="dim")
            continue
        shown = [
            meaning.pattern.format(record.scores[meaning.name].value) if meaning.name in record.scores else ""
            for meaning in meanings
        ]
        is_taken = choice is not None and choice.name == planned.domain
        words = "taken" if is_taken else ""
        style = "bold" if is_taken else ""
        sheet.add(variant, triage(record).kind, *shown, str(record.making.kept_step), words, style=style)
    lines = [] if choice is None else [Text(f"\n{choosable.domain}: {choice.why}.")]
    for variant in choosable.variants:
        if steps := _steps(choosable, variant):
            kept = f"step{'s' if ',' in steps else ''} {steps}"
            lines.append(Text(f"{variant} also kept {kept}: nada pick {choosable.domain} {variant} --step N"))
    return Group(sheet, *lines)


def _steps(choosable: Choosable, variant: str) -> str:
    try:
        return ", ".join(map(str, choosable.steps(variant)))
    except RecordError:
        return ""


def report_path(plan: Plan) -> Path:
    """Write the latest report again, as the domain is another one now; returns its path.

    Raises:
        OutputError: it cannot be written.
    """
    from tasks.report.files import current_records, refresh_report
    from tasks.variants.told import by_row, tell

    path, _ = refresh_report(plan, tell(plan, by_row(current_records(plan))))
    return path
