"""The `nada` command. Heavy libraries are imported by the command that needs them, so that help is quick."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import signal
import sys
from typing import Annotated, Any

import typer
from rich.text import Text
from typer.core import TyperGroup

from flows import NOTES
from flows.cli import night, pictures, pipeline, run, weights
from flows.cli.bench import commands as bench
from flows.cli.choosing import commands as choosing
from flows.cli.photo import commands as photo
from flows.cli.play import commands as play
from flows.cli.project import commands as project
from flows.cli.terminal import PlainConsole, settle_streams, threads_spare, unexpected
from nada.errors import InputError, NadaError

EXIT_ROWS_FAILED, EXIT_BAD_INPUT = 1, 2
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Commands(TyperGroup):
    """All commands; what a wrong value is answered with is said without the name of Python's error."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as err:
            err.message = err.message.removeprefix("Value error, ")  # typer reads choices by pydantic
            raise


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,  # nada --install-completion
    rich_markup_mode=None,  # rich reflows the examples
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Turns a CSV of prompt pairs into a library of adapted image generators, overnight.

    \b
    The usual order:
      nada init FOLDER     a project of your own, ready to run
      nada doctor          what is missing here, and the command that brings it
      nada plan            what would be trained, and how long it takes
      nada run             train it, judge it, write the report
      nada status          where it stands, from any other terminal
      nada pick DOMAIN     which of several tries is taken
      nada sample DOMAIN   pictures from any finished domain
      nada invert PHOTO    your own photo as a latent, for nada apply
      nada weights         generators to start from, and weights for other tools

    Two files decide everything: prompts.csv (one row per domain) and params.yaml (all settings). Every finished
    row is kept under weights/adapted/DOMAIN and is not trained again until something that affects it changes.
    """,
)


def _version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"nada {version('nada')}")
        except PackageNotFoundError:
            typer.echo("nada, from a checkout that is not installed")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the command as a whole; its help is that of `app`."""


app.add_typer(project.app)
app.add_typer(run.app)
app.add_typer(night.app)
app.add_typer(choosing.app)
app.add_typer(pictures.app)
app.add_typer(photo.app)
app.add_typer(play.app)
app.add_typer(bench.app)
app.add_typer(pipeline.app)
app.add_typer(weights.app, name="weights", short_help="Get generators, and carry weights between tools.")


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


def main() -> None:
    """Entry point of the console script."""
    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    settle_streams()
    errors = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    for note in NOTES:
        errors.print(Text(note, style="yellow"))
    try:
        with threads_spare(sys.stderr):
            app(prog_name="nada")
    except InputError as err:
        errors.print(Text(str(err), style="red"))
        sys.exit(EXIT_BAD_INPUT)
    except NadaError as err:
        errors.print(Text(str(err), style="red"))
        sys.exit(EXIT_ROWS_FAILED)
    except Exception as err:
        errors.print(Text(unexpected(err), style="bold red"))
        sys.exit(EXIT_ROWS_FAILED)


def _interrupt(signum: int, frame: Any) -> None:
    """Break off, once: a second Ctrl-C would break off what ends the workers."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
