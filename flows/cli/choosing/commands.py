"""`nada pick`, `nada add`, `nada pause` and `nada resume`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import echo

app = typer.Typer()

ParamsOption = Annotated[
    Path, typer.Option("--params", help="The settings file; paths inside it are relative to where you stand.")
]


@app.command(short_help="Choose which variant of a domain is taken.")
def pick(
    domain: Annotated[str, typer.Argument(help="A domain of the CSV.")],
    variant: Annotated[
        str | None, typer.Argument(help="Its name, or its seed or recipe where that is enough.", show_default=False)
    ] = None,
    step: Annotated[int | None, typer.Option("--step", min=1, help="A checkpoint that its training kept.")] = None,
    judge: Annotated[bool, typer.Option("--judge", help="Take a pick back: the judge's best is the domain.")] = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Take another variant of a domain than the judge's best, for good; without one, show what there is.

    A row of the CSV with tries, seeds or several recipes trains as several variants, and the judge's best of them is
    the domain. A pick overrules it: it is a line of picks.csv, which belongs in git beside prompts.csv, so that every
    clone and every later night comes to the same choice. A recipe with adapt.checkpoints keeps other steps of a
    row, any of which can be picked as well; nada run then draws and judges it, in seconds.

    \b
    Examples:
      nada pick sketch              what there is to choose from
      nada pick sketch 3            the variant with seed 3
      nada pick sketch drawing-1    by its name
      nada pick sketch --step 120   the domain as it was after 120 steps
      nada pick sketch --judge      leave it to the judge again
    """
    from flows.cli.choosing.pick import Choosable, choices, keep, picked, report_path, take_back
    from flows.cli.display import make_console
    from nada.errors import ParamsError
    from tasks.config.project import HERE
    from tasks.plan.beginning import only_writer, plan_arranged
    from tasks.plan.planning import check_only, make_plan
    from tasks.store.locks import only_night

    if judge and (variant is not None or step is not None):
        raise ParamsError("--judge takes a pick back, so name no variant or step with it")
    if judge:
        with only_night():  # and no look at the CSV, which a pick of what is gone makes unreadable
            take_back(domain)
    plan = make_plan(params, here=True)
    check_only([domain], [planned.row for planned in plan.rows], plan.params)
    if variant is None and step is None and not judge:
        make_console().print(choices(Choosable.of(plan, domain)))
        return
    with only_writer(params):
        if not judge:
            keep(picked(Choosable.of(make_plan(params, here=True), domain), variant, step))
        now = Choosable.of(plan_arranged(params), domain)
        if (choice := now.choice) is not None:
            echo(f"{domain}: {choice.why}")
            echo(f"Report   {report_path(now.plan).resolve()}")
    if now.plan.has_work:
        echo("nada run does what is left.")
    echo(f"{HERE.picks} says so; keep it in git beside {now.plan.params.night.prompts}.")


@app.command(short_help="Add a row to the CSV, also while a night runs.")
def add(
    pair: Annotated[str, typer.Argument(metavar="'SOURCE -> TARGET'", help="What pictures are of, and are to become.")],
    domain: Annotated[str | None, typer.Option(help="Its name; by default made of the target.")] = None,
    recipe: Annotated[str | None, typer.Option(help="One of params.yaml, or several: 'style|drawing'.")] = None,
    tries: Annotated[int | None, typer.Option(help="So many seeds.")] = None,
    seeds: Annotated[str | None, typer.Option(help="These seeds: 0-3, or 0,2,5.")] = None,
    iterations: Annotated[int | None, typer.Option(help="Steps.")] = None,
    on: Annotated[str | None, typer.Option(help="Another row, from whose result it starts.")] = None,
    priority: Annotated[int | None, typer.Option(help="Higher ones are trained first.")] = None,
    style_images: Annotated[str | None, typer.Option(help="Pictures to learn from.")] = None,
    reference_images: Annotated[str | None, typer.Option(help="Pictures to judge by.")] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Append a row to the CSV, once it and all others are found to be right. A night that runs takes it up.

    Nothing else of the file changes, but for a column that its header lacks. A night that runs for some domains alone
    (--only) leaves it to the next one.

    \b
    Examples:
      nada add "a portrait -> a pencil sketch"
      nada add "a portrait -> a robot" --domain robot --recipe "style|drawing" --seeds 0-2
      nada add "a portrait -> bronze" --priority 5
    """
    from tasks.config.params import load_params
    from tasks.live.adding import append_row, parse_pair
    from tasks.status.status_file import is_going, takes_up

    settings = load_params(params)
    source, target = parse_pair(pair)
    given = {
        "domain": domain,
        "source": source,
        "target": target,
        "recipe": recipe,
        "tries": tries,
        "seeds": seeds,
        "iterations": iterations,
        "on": on,
        "priority": priority,
        "style_images": style_images,
        "reference_images": reference_images,
    }
    path = Path(settings.night.prompts)
    cells = {column: str(value) for column, value in given.items() if value is not None}
    for row in append_row(path, settings, cells):
        echo(f"{path}:{row.line}: {row.domain}: {row.source} -> {row.aim}")
    if takes_up(path):
        echo("The night that runs takes it up: nada status")
    else:
        echo("The night that runs leaves it to the next one." if is_going() else "nada run trains it.")


@app.command(short_help="Begin nothing new in the night that runs.")
def pause(
    now: Annotated[bool, typer.Option("--now", help="Rows in the making save their states and make way.")] = False,
) -> None:
    """Let the night that runs begin nothing new, until nada resume. Rows that run come to their end first.

    With --now they save their states after the step that they are at, and go on from there afterwards, to the same
    bytes. The night stays, with its workers and what they have loaded; a night that ends or dies ends its pause.

    \b
    Examples:
      nada pause
      nada pause --now     the processor is free within a step
    """
    from tasks.live.pausing import pause as pause_night

    pause_night(now)
    echo("Paused: running rows " + ("save their states" if now else "end first") + "; nada resume goes on.")


@app.command(short_help="Let a night that was paused go on.")
def resume() -> None:
    """Let the night go on after nada pause.

    \b
    Example:
      nada resume
    """
    from tasks.live.pausing import resume as resume_night

    echo("The night goes on." if resume_night() else "Nothing was paused.")
