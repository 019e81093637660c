"""The steps of dvc.yaml: `nada inputs`, `nada pretrained`, `nada prepare` and `nada complete`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import echo

EXIT_INCOMPLETE = 1

app = typer.Typer()

ParamsOption = Annotated[Path, typer.Option("--params", help="The settings file.")]


@app.command(short_help="Check and copy the source generators.")
def pretrained(params: ParamsOption = Path("params.yaml")) -> None:
    """Check every source generator and copy it to weights/pretrained in nada's own format.

    A night does this by itself; DVC calls it as a stage of its own.

    \b
    Example:
      nada pretrained
    """
    from tasks.config.params import load_params
    from tasks.config.prompts import load_prompts
    from tasks.plan.beginning import only_writer
    from tasks.store.pretrained import prepare_all

    with only_writer(params):
        settings = load_params(params)
        for one in prepare_all(settings, load_prompts(Path(settings.night.prompts), settings)).values():
            echo(str(one.path))


@app.command(short_help="Compute what rows of a generator share.")
def prepare(params: ParamsOption = Path("params.yaml")) -> None:
    """Compute what methods need to know of a generator and a guide before any of their rows, and keep it.

    For global directions that is what every channel of the style space does: minutes for a small generator on a core,
    hours for a large one on a GPU. A night does it by itself, in the worker that takes the first such row; this command
    does it when you choose, on all workers at once. Broken off, it goes on where it was. DVC calls it as a stage.

    \b
    Example:
      nada prepare
    """
    from flows.cli.display import make_display
    from flows.prepare import prepare_all
    from tasks.plan.beginning import only_writer

    with only_writer(params), make_display() as display:
        prepare_all(params, display)


@app.command(short_help="Write down what a night would be made from.")
def inputs(params: ParamsOption = Path("params.yaml")) -> None:
    """Write the hashes of everything that decides a night to weights/inputs.json.

    DVC calls it before every night: a replaced picture, checkpoint or CLIP, an edit of the method, and a row that
    failed or was left are then seen by dvc repro.

    \b
    Example:
      nada inputs
    """
    from tasks.plan.beginning import only_writer
    from tasks.plan.pipeline import write_inputs

    with only_writer(params):
        echo(str(write_inputs(params)))


@app.command(short_help="Say whether every row is finished.")
def complete(params: ParamsOption = Path("params.yaml")) -> None:
    """End with status 1 while rows are missing, and say which and why.

    DVC calls it after a night, which by itself ends well once every row is settled, so that what is finished is
    versioned.

    \b
    Example:
      nada complete
    """
    from tasks.plan.pipeline import missing_rows

    missing = missing_rows(params)
    for domain, reason in missing.items():
        echo(f"{domain}: {reason}")
    if missing:
        raise typer.Exit(EXIT_INCOMPLETE)
    echo("Every row is finished.")
