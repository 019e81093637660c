"""What `nada run` and `nada report` tell the person at the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.cli.display import Display
from flows.cli.tables import leaderboard_table, plan_summary, plan_table
from tasks.plan.beginning import Beginning
from tasks.plan.plan import Plan
from tasks.plan.wording import doubts, idle_picks, left_out, listed
from tasks.report import metrics
from tasks.report.files import ui_commands
from tasks.report.triage import triage
from tasks.store import row_folder
from tasks.variants.told import Told


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a night came to, as the command tells it."""

    told: Told
    report_path: Path | None
    failures: dict[str, str]
    """Domain -> reason."""
    left: tuple[str, ...] = ()
    stopped: str = ""
    """Why some rows were not tried, in a line."""
    plan: Plan | None = None
    """With rows that joined the night."""
    prefect_lost: bool = False


def tell_plan(display: Display, beginning: Beginning) -> None:
    """What this night will do, and what was done for it already."""
    planned, restored, taken, healed = beginning
    display.console.print(plan_table(planned))
    display.console.print()
    display.say(plan_summary(planned), "bold")
    for line in (*left_out(planned), *doubts(planned), *idle_picks(planned)):
        display.say(line, "yellow")
    if restored:
        display.say(f"Brought back from DVC's cache, where an earlier night left them: {', '.join(restored)}.")
    if taken:
        display.say(f"Taken over from an older version, to be judged anew: {listed(taken)}.")
    for path in healed:
        display.say(
            f"{path}: was missing or damaged, and finished domains rebuild from it; the generator is there again."
        )


def tell_leftovers(display: Display, planned: Plan) -> None:
    """Results of domains that left the CSV."""
    if kept := row_folder.leftovers(planned.folders):
        display.say(
            f"Kept, though not in {planned.params.night.prompts}: {', '.join(kept)}. nada run --prune removes them."
        )


def tell_outcome(display: Display, outcome: Outcome) -> None:
    """The leaderboard, where everything is, and what to type next."""
    display.console.print()
    tell_board(display, outcome.told, outcome.failures)
    say_where(display, outcome.report_path)
    if outcome.left:
        names = listed(outcome.left)
        display.say(f"\nThe deadline left no time for {names}. The next night takes them first: nada run", "yellow")
    if outcome.stopped:
        display.say(f"\n{outcome.stopped}", "bold red")
    if outcome.failures:
        names, failed = " ".join(f"--only {domain}" for domain in outcome.failures), len(outcome.failures)
        display.say(f"\n{failed} failed; the rest is whole. Try again with: nada run {names}", "bold red")


def tell_board(display: Display, told: Told, failures: Mapping[str, str]) -> None:
    """The leaderboard, with verdicts."""
    verdicts = {record.domain: triage(record).kind for record in told.records}
    board = metrics.leaderboard(told.records, told.families)
    display.console.print(leaderboard_table(board, failures, verdicts))


def say_where(display: Display, report_path: Path | None) -> None:
    """The report's path, and the lines that open the pages."""
    display.say("" if report_path is None else f"\nReport   {report_path.resolve()}", "bold")
    for name, command in ui_commands().items():
        display.say(f"{name:<8} {command}")
