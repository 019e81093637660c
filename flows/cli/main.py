"""The `nada` command. Heavy libraries are imported by the command that needs them, so that help is quick."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from flows.cli import night, pictures, weights
from nada.errors import InputError, NadaError

EXIT_ROWS_FAILED, EXIT_BAD_INPUT, EXIT_ROWS_LEFT, EXIT_INTERRUPTED = 1, 2, 3, 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich reflows the examples
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Turns a CSV of prompt pairs into a library of adapted image generators, overnight.

    \b
    The usual order:
      nada plan            what would be trained, and how long it takes
      nada run             train it, judge it, write the report
      nada status          where it stands, from any other terminal
      nada sample DOMAIN   pictures from any finished domain
      nada weights         generators to start from, and weights for other tools

    Two files decide everything: prompts.csv (one row per domain) and params.yaml (all settings). Every finished
    row is kept under weights/adapted/DOMAIN and is not trained again until something that affects it changes.
    """,
)

app.add_typer(night.app)
app.add_typer(pictures.app)
app.add_typer(weights.app, name="weights", short_help="Get generators, and carry weights between tools.")

ParamsOption = Annotated[
    Path, typer.Option("--params", help="The settings file; paths inside it are relative to where you stand.")
]
OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="Train only this domain; give it again for more.", metavar="DOMAIN")
]


@app.command(short_help="Show what a night would do, and what it costs.")
def plan(
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
      nada plan --only sketch
      nada plan --no-preflight     quicker: loads no guide
      nada plan --measure          minutes that are measured here, not guessed

    Exit status 2 means that something in the CSV, the settings or the weights cannot be used; every problem
    is listed.
    """
    from flows.cli.display import make_console
    from flows.cli.tables import plan_summary, plan_table
    from tasks.plan.plan import make_plan
    from tasks.plan.prompt_warnings import prompt_warnings

    console = make_console()
    planned = make_plan(params, only or [])
    if measure:
        from flows.cli.display import Display
        from flows.measure import measure as measure_recipes

        measure_recipes(planned, Display(console))
        planned = make_plan(params, only or [])
    console.print(plan_table(planned))
    console.print()
    console.print(plan_summary(planned), markup=False, soft_wrap=True)
    warnings = prompt_warnings([row.row for row in planned.to_train], planned.params) if preflight else []
    if warnings:
        console.print(Text("\nPrompts worth a second look, by the guides' own reading:", style="bold yellow"))
    for line in warnings:
        console.print(Text(line, style="yellow"), soft_wrap=True)


@app.command(short_help="Train, judge, record and report every unfinished row.")
def run(
    params: ParamsOption = Path("params.yaml"),
    only: OnlyOption = None,
    prune: Annotated[bool, typer.Option("--prune", help="Remove results of domains that left the CSV.")] = False,
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
    from flows.cli.display import make_display
    from flows.cli.tables import leaderboard_table, listed, plan_summary, plan_table
    from tasks.plan.plan import plan_to_run
    from tasks.report import metrics
    from tasks.report.files import current_records, refresh_report
    from tasks.status.status_file import last_night_is_closed
    from tasks.store import base_models, row_folder

    planned, restored = plan_to_run(params, only or [])
    display = make_display()
    display.console.print(plan_table(planned))
    display.console.print()
    display.say(plan_summary(planned), "bold")
    if restored:
        display.say(f"Brought back from DVC's cache, where an earlier night left them: {', '.join(restored)}.")
    domains = {row.row.domain for row in planned.rows}
    for domain in row_folder.prune(domains) if prune else []:
        display.say(f"{domain}: no longer in {planned.params.night.prompts}; its results were removed")
    for path in base_models.prune() if prune else []:
        display.say(f"{path}: no domain rebuilds from it any more; removed")
    if kept := row_folder.leftovers(domains):
        display.say(
            f"Kept, though not in {planned.params.night.prompts}: {', '.join(kept)}. nada run --prune removes them."
        )
    report_path: Path | None
    failures: dict[str, str] = {}
    left: tuple[str, ...] = ()
    prefect_lost = False
    closed = last_night_is_closed()
    if not (planned.to_train or closed):
        display.say("The last night did not come to its end; this one reports and records what it made.")
    if planned.to_train or not closed:
        from flows.night import run_night

        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the terminal was closed: nobody watches, the night goes on
        try:
            with display:
                context = run_night(planned, display)
        except KeyboardInterrupt:
            display.say("\nStopped. Finished domains are kept; nada run goes on with the others.", "yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        report_path, failures, records = context.report_path, context.reasons, list(context.records.values())
        left, prefect_lost = context.waiting.domains, context.prefect_lost
    else:
        records = current_records(planned)
        report_path, _ = refresh_report(planned, records)
    display.console.print()
    display.console.print(leaderboard_table(metrics.leaderboard(records), failures))
    _say_where(display, report_path)
    if left:
        names = listed(left)
        display.say(f"\nThe deadline left no time for {names}. The next night takes them first: nada run", "yellow")
    if failures:
        names = " ".join(f"--only {domain}" for domain in failures)
        display.say(f"\n{len(failures)} failed; the rest is whole. Try again with: nada run {names}", "bold red")
    status = EXIT_ROWS_FAILED if failures or report_path is None else EXIT_ROWS_LEFT if left else 0
    if prefect_lost:  # its client would go on asking for a server that is gone: seconds for every event of the night
        sys.stdout.flush()
        os._exit(status)
    raise typer.Exit(status)


@app.command(short_help="Write the report again from the finished rows.")
def report(params: ParamsOption = Path("params.yaml")) -> None:
    """Write the report again from the finished rows, without training anything.

    \b
    Examples:
      nada report
      dvc pull && nada report     look at results that somebody else trained
    """
    from flows.cli.display import make_display
    from flows.cli.tables import count, leaderboard_table
    from tasks.plan.plan import make_plan
    from tasks.report import metrics
    from tasks.report.files import current_records, refresh_report

    planned = make_plan(params, here=True)
    display = make_display()
    records = current_records(planned)
    path, night = refresh_report(planned, records)
    failures = {failure.domain: failure.reason for failure in night.failures}
    display.console.print(leaderboard_table(metrics.leaderboard(records), failures))
    _say_where(display, path)
    if planned.to_train:
        display.say(f"\n{count(len(planned.to_train), 'domain')} still to train: nada run", "yellow")


@app.command(short_help="Compare two nights, or two git revisions.")
def compare(
    before: Annotated[str, typer.Argument(help="A folder of reports/, or a git revision such as HEAD~1.")],
    after: Annotated[str, typer.Argument(help="The same; 'now' is what reports/metrics.json holds.")] = "now",
) -> None:
    """Compare the scores of two nights, domain by domain; bold is what the choice of the pictures does not explain.

    \b
    Examples:
      nada compare 2026-11-23_22-00-00                       an earlier night with the latest
      nada compare HEAD~1 HEAD                               two git revisions
    """
    from flows.cli.display import make_console
    from flows.cli.tables import changes_table
    from tasks.report.compare import compare as compare_nights
    from tasks.report.compare import load_night_metrics

    changes = compare_nights(load_night_metrics(before), load_night_metrics(after))
    make_console().print(changes_table(changes, (before, after)))
    clear = sum(change.is_clear for change in changes)
    typer.echo(f"\n{clear} of {len(changes)} scores changed by more than their 95% intervals.")


@app.command(short_help="Check and copy the source generator.")
def pretrained(params: ParamsOption = Path("params.yaml")) -> None:
    """Check the source generator and copy it to weights/pretrained in nada's own format.

    A night does this by itself; DVC calls it as a stage of its own.

    \b
    Example:
      nada pretrained
    """
    from tasks.config.params import load_params
    from tasks.store.pretrained import prepare

    typer.echo(str(prepare(load_params(params))))


def _say_where(display: Any, report_path: Path | None) -> None:
    from tasks.report.files import ui_commands

    display.say("" if report_path is None else f"\nReport   {report_path.resolve()}", "bold")
    for name, command in ui_commands().items():
        display.say(f"{name:<8} {command}")


def main() -> None:
    """Entry point of the console script."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        app(prog_name="nada")
    except InputError as err:
        errors.print(Text(str(err), style="red"))
        sys.exit(EXIT_BAD_INPUT)
    except NadaError as err:
        errors.print(Text(str(err), style="red"))
        sys.exit(EXIT_ROWS_FAILED)


def _interrupt(signum: int, frame: Any) -> None:
    """Break off, once: a second Ctrl-C would break off what ends the workers."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
