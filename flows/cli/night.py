"""Commands around a night that nobody watches: `nada status`, `nada serve` and `nada verify`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import echo

WATCH_SECONDS = 1.0
SCREENS = {"DISPLAY", "WAYLAND_DISPLAY"}  # a desktop's variables: without one a browser would take the terminal

app = typer.Typer()


@app.command(short_help="Show where the night stands.")
def status(
    watch: Annotated[bool, typer.Option("--watch", help="Stay, and show it anew until the night ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts: everything that is known.")] = False,
    page: Annotated[bool, typer.Option("--page", help="Open the page that follows the night by itself.")] = False,
) -> None:
    """Show what the night of this project does: what runs, is done, failed or waits, and when it should end.

    It reads one small file, so it may be asked at any time and from any terminal. After a crash it says so, and how
    to go on.

    \b
    Examples:
      nada status
      nada status --watch     with the latest pictures, where the terminal has colours
      nada status --page      pictures, losses and what is left, in a browser
      nada status --json | jq .expected_end
    """
    from tasks.status.status_file import GOING, load_status

    _check_project()
    if as_json:
        now = load_status()
        typer.echo(json.dumps({"state": "none"} if now is None else asdict(now), indent=2))
        return
    if page:
        _open_page()
        return
    from rich.live import Live

    from flows.cli.display import make_console
    from flows.cli.status.strips import Strips, can_show
    from flows.cli.status.view import status_view

    console = make_console()
    if not watch:
        console.print(status_view(load_status()))
    elif console.is_terminal:
        shows = can_show(console)
        with Live(status_view(load_status()), console=console, auto_refresh=False) as live:
            while (now := load_status()) is not None and now.state in GOING:
                live.update(status_view(now, Strips(now) if shows else None), refresh=True)
                time.sleep(WATCH_SECONDS)
            live.update(status_view(now), refresh=True)
    else:
        _follow()


@app.command(short_help="Run a night whenever a schedule says so.")
def serve(
    cron: Annotated[str, typer.Option(help="Minute, hour, day, month, weekday; in local time.")] = "0 22 * * *",
    params: Annotated[
        Path, typer.Option("--params", help="The settings file; paths inside it are relative to where you stand.")
    ] = Path("params.yaml"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of the Prefect server that it starts.")] = 4200,
) -> None:
    """Stay, and run a night whenever the schedule says so; start a Prefect server for it, with its pages.

    Everything is checked now, so that a mistake does not wait for the night. A server that PREFECT_API_URL names is
    used in place of one of its own, which answers only whoever has the secret in .prefect/serve.secret. Set
    night.deadline for the morning, and night.webhook to be told how it went.

    \b
    Examples:
      nada serve                                every night at ten
      nada serve --cron "30 21 * * 1-5"         on weekdays at half past nine
      export PREFECT_API_URL=http://127.0.0.1:4200/api PREFECT_API_AUTH_STRING=$(cat .prefect/serve.secret)
      prefect deployment run night/nightly      one now
    """
    from flows.cli.tables import plan_summary
    from tasks.plan.planning import make_plan

    echo(plan_summary(make_plan(params)))
    from flows.serve import serve as serve_nights

    serve_nights(cron, params, port, echo)


@app.command(short_help="Make finished domains again and compare every bit.")
def verify(
    domains: Annotated[list[str] | None, typer.Argument(metavar="[DOMAIN]...", help="Default: all finished.")] = None,
    params: Annotated[Path, typer.Option("--params", help="The settings file.")] = Path("params.yaml"),
) -> None:
    """Make finished domains again in a scratch folder, and compare weights, scores and pictures bit by bit.

    The finished ones are only read. Where something differs it says what, and which versions, device, settings or
    commit are others than when the row was made.

    \b
    Examples:
      nada verify sketch
      nada verify

    Exit status: 0 every bit is the same, 1 something differs or could not be made, 2 bad input.
    """
    from flows.cli.display import make_display
    from flows.verify import verify as verify_rows
    from tasks.plan.planning import make_plan

    planned = make_plan(params, domains or [], here=True)
    display = make_display()
    with display:
        differing = verify_rows(planned, domains or [], display)
    if differing:
        raise typer.Exit(1)


def _check_project() -> None:
    """That no night has run is said of a project alone: in a folder of it one may well run.

    Raises:
        ParamsError: nothing tells that this is a project's folder.
    """
    from nada.errors import ParamsError
    from tasks.config.project import HERE

    if not (HERE.params.exists() or HERE.weights.exists()):
        raise ParamsError(f"{HERE.params}: no such file, and no night has run here; run nada in the project's folder")


def _open_page() -> None:
    """Say where the page is, and show it where there is a screen."""
    from tasks.status.live_page import write_page

    address = write_page().resolve().as_uri()
    echo(address)
    if sys.stdout.isatty() and (sys.platform in ("darwin", "win32") or SCREENS & set(os.environ)):
        typer.launch(address)


def _follow() -> None:
    """A line in a log whenever the counts change, and the whole status at the end."""
    from flows.cli.display import clock, make_console
    from flows.cli.status.view import counts, status_view
    from tasks.status.status_file import GOING, load_status

    said = ""
    while (now := load_status()) is not None and now.state in GOING:
        if (news := counts(now)) != said:
            echo(f"{clock()} {news}")
            sys.stdout.flush()
            said = news
        time.sleep(WATCH_SECONDS)
    make_console().print(status_view(now))
