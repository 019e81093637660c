"""`nada plan`, `nada run` and `nada report`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

if TYPE_CHECKING:
    from flows.cli.display import Display
    from flows.cli.telling import Outcome
    from tasks.plan.plan import Plan

EXIT_ROWS_FAILED, EXIT_ROWS_LEFT, EXIT_INTERRUPTED = 1, 3, 130

app = typer.Typer()

PromptsArgument = Annotated[
    Path | None, typer.Argument(metavar="PROMPTS", help="The CSV, in place of night.prompts.", show_default=False)
]
ParamsOption = Annotated[
    Path, typer.Option("--params", help="The settings file; paths inside it are relative to where you stand.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Train only this domain; give it again for more.", metavar="DOMAIN")
]


@app.command(short_help="Show what a night would do, and what it costs.")
def plan(
    prompts: PromptsArgument = None,
    params: ParamsOption = Path("params.yaml"),
    only: OnlyOption = None,
    preflight: Annotated[
        bool, typer.Option(help="Ask the guides about the prompts: twins, tiny edits, confusions, fickle spellings.")
    ] = True,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run a few real steps of each recipe that no earlier row tells of.")
    ] = False,
) -> None:
    """Check everything and show what a night would do: rows, minutes, disk. Trains nothing.

    \b
    Examples:
      nada plan
      nada plan others.csv         in place of night.prompts
      nada plan --only sketch
      nada plan --no-preflight     quicker: loads no guide
      nada plan --measure          minutes that are measured here, not guessed

    Exit status 2 means that something in the CSV, the settings or the weights cannot be used; every problem
    is listed.
    """
    from flows.cli.display import make_console
    from flows.cli.tables import plan_summary, plan_table
    from tasks.plan.planning import make_plan
    from tasks.plan.prompt_warnings import prompt_warnings
    from tasks.plan.wording import doubts, idle_picks, left_out

    console = make_console()
    planned = make_plan(params, only or [], prompts=prompts)
    if measure:
        from flows.cli.display import Display
        from flows.measure import measure as measure_recipes
        from tasks.store.locks import only_night

        with only_night():
            measure_recipes(planned, Display(console))
        planned = make_plan(params, only or [], prompts=prompts)
    console.print(plan_table(planned))
    console.print()
    console.print(plan_summary(planned), markup=False, soft_wrap=True)
    for line in (*left_out(planned), *doubts(planned), *idle_picks(planned)):
        console.print(Text(line, style="yellow"), soft_wrap=True)
    warnings = prompt_warnings([row.row for row in planned.to_train], planned.params) if preflight else []
    if warnings:
        console.print(Text("\nPrompts worth a second look, by the guides' own reading:", style="bold yellow"))
    for line in warnings:
        console.print(Text(line, style="yellow"), soft_wrap=True)


@app.command(short_help="Train, judge, record and report every unfinished row.")
def run(
    prompts: PromptsArgument = None,
    params: ParamsOption = Path("params.yaml"),
    only: OnlyOption = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove results of domains that left the CSV.")] = False,
    settle: Annotated[
        bool, typer.Option("--settle", help="Exit 0 although rows failed or were left; nada complete then says so.")
    ] = False,
) -> None:
    """Train every row that is not finished, judge it, record it, and write the report.

    Rows whose result is there and current are kept. A row that fails leaves the others alone: it is red in the
    report, and the next run tries it again. Ctrl-C is safe at any time. A night goes on when its terminal is closed.

    \b
    Examples:
      nada run
      nada run --only sketch --only sepia
      nada run --prune    also remove the results of domains that left the CSV
      dvc repro           the same, and DVC versions the weights

    Exit status: 0 all rows finished, 1 a row failed, 2 bad input (nothing was trained), 3 the deadline left rows for
    the next night, 130 interrupted.
    """
    from tasks.plan.beginning import only_writer

    with only_writer(params, prompts, here=False):
        outcome = _run_alone(params, only or [], prompts, prune, settle)
    _leave(_status_of(outcome, settle), outcome.prefect_lost)


def _run_alone(params: Path, only: list[str], prompts: Path | None, prune: bool, settle: bool) -> Outcome:
    from flows.cli.display import make_display
    from flows.cli.telling import tell_leftovers, tell_outcome, tell_plan
    from tasks.plan import pipeline
    from tasks.plan.beginning import plan_to_run
    from tasks.status.status_file import last_night_is_closed

    beginning = plan_to_run(params, only, prompts)
    planned, display = beginning.plan, make_display()
    tell_plan(display, beginning)
    if prune:
        _prune(display, planned)
    tell_leftovers(display, planned)
    closed = last_night_is_closed()
    if not (planned.has_work or closed):
        display.say("The last night did not come to its end; this one reports and records what it made.")
    outcome = _run_night(planned, display) if planned.has_work or not closed else _report_again(planned)
    tell_outcome(display, outcome)
    if settle and outcome.report_path is not None:
        pipeline.settle(outcome.plan or planned)
    return outcome


def _status_of(outcome: Outcome, settle: bool) -> int:
    if outcome.report_path is None or (outcome.failures and not settle):
        return EXIT_ROWS_FAILED
    return EXIT_ROWS_LEFT if outcome.left and not settle else 0


def _leave(status: int, prefect_lost: bool) -> None:
    """End the command. Without its server Prefect's client would go on asking at exit, seconds for every event."""
    if prefect_lost:
        sys.stdout.flush()
        os._exit(status)
    raise typer.Exit(status)


def _prune(display: Display, planned: Plan) -> None:
    """Remove what left the CSV."""
    from tasks.store import base_models, row_folder

    for domain in row_folder.prune(planned.folders):
        display.say(f"{domain}: no longer in {planned.params.night.prompts}; its results were removed")
    for path in base_models.prune():
        display.say(f"{path}: no domain rebuilds from it any more; removed")


def _run_night(planned: Plan, display: Display) -> Outcome:
    from flows.cli.telling import Outcome
    from tasks.plan.devices import open_pool

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal was closed: nobody watches, the night goes on
    try:
        with display, open_pool(planned.params.night, planned.needed_workers) as pool:
            from flows.night import run_night  # workers load while Prefect is imported

            context = run_night(planned, display, pool)
    except KeyboardInterrupt:
        display.say("\nStopped. Finished domains are kept; nada run goes on with the others.", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    return Outcome(
        told=context.told,
        report_path=context.report_path,
        failures=context.reasons,
        left=context.waiting.domains,
        stopped=context.stopped,
        plan=context.plan,
        prefect_lost=context.prefect_lost,
    )


def _report_again(planned: Plan) -> Outcome:
    from flows.cli.telling import Outcome
    from tasks.report.files import current_records, refresh_report
    from tasks.variants.told import by_row, tell

    told = tell(planned, by_row(current_records(planned)))
    path, _ = refresh_report(planned, told)
    return Outcome(told=told, report_path=path, failures={})


@app.command(short_help="Write the report again from the finished rows.")
def report(params: ParamsOption = Path("params.yaml")) -> None:
    """Write the report again from the finished rows, without training anything.

    \b
    Examples:
      nada report
      dvc pull && nada report     look at results that somebody else trained
    """
    from flows.cli.display import make_display
    from flows.cli.telling import say_where, tell_board
    from tasks.plan.beginning import only_writer, plan_arranged
    from tasks.plan.wording import count
    from tasks.report.files import current_records, refresh_report
    from tasks.variants.told import by_row, tell

    display = make_display()
    with only_writer(params):
        planned = plan_arranged(params)
        told = tell(planned, by_row(current_records(planned)))
        path, night = refresh_report(planned, told)
    failures = {failure.domain: failure.reason for failure in night.failures}
    tell_board(display, told, failures)
    say_where(display, path)
    if planned.to_train:
        display.say(f"\n{count(len(planned.to_train), 'domain')} still to train: nada run", "yellow")
    if planned.to_judge:
        display.say(f"\n{count(len(planned.to_judge), 'domain')} still to judge: nada run", "yellow")
