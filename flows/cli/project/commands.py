"""`nada init` and `nada doctor`: a project begun, and what it lacks."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import echo

EXIT_NOT_READY = 1
DOCTOR_WIDTH = 80  # also in a log

app = typer.Typer()


@app.command(short_help="Begin a project in a folder of your own.")
def init(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there; files in it stay as they are.")],
    generator: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A name of nada weights list, or a file of your own: NVIDIA's .pkl, rosinality's .pt, nada's "
            ".safetensors. By default a small public generator of faces.",
            show_default=False,
        ),
    ] = None,
    guide: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLIP",
            help="Guides the training: NAME or NAME:TAG of open_clip, NAME=FILE, or FILE with its .json beside it; "
            "give it again for more. By default ViT-B-32-quickgelu:openai, or in a checkout, for a public generator "
            "of faces, the small ones of examples/faces.",
            show_default=False,
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="CLIP", help="Judges, and must not guide. By default RN50-quickgelu:openai.", show_default=False
        ),
    ] = None,
    minimal: Annotated[
        bool, typer.Option("--minimal", help="params.yaml and prompts.csv alone; nothing for DVC, git and Prefect.")
    ] = False,
) -> None:
    """Write what a project needs: settings with a comment on each, two rows, a DVC pipeline with a remote of its own.

    A file that is there is never touched. A checkpoint of your own is read through, so that one which nada cannot
    adapt is refused now; nothing in it is executed.

    \b
    Examples:
      nada init my-library                                    a public generator of faces
      nada init my-library --generator ~/network-snapshot.pkl your own StyleGAN2 or StyleGAN3
      nada init my-library --generator ffhq-1024 --guide ViT-B-32-quickgelu --guide ViT-B-16-quickgelu
      nada init my-library --guide clip/mine.safetensors --judge ViT-B-32=clip/laion.pt
      nada init . --minimal                                   two files, here
    """
    from tasks.scaffold.clips import choose_clips
    from tasks.scaffold.project import PARAMS, begin
    from tasks.scaffold.source import choose_source

    folder = folder.expanduser()
    source = choose_source(generator, folder)
    clips = choose_clips(guide or [], judge, folder, source.of_faces)
    begun = begin(folder, source, clips, minimal)
    has_settings = PARAMS in begun.kept
    if has_settings:
        echo(f"{folder}: {PARAMS} is there and decides; --generator, --guide and --judge change nothing in it")
    else:
        echo(f"{folder}: generator {Path(source.weights).name} ({source.in_words})")
        echo(f"  guided by {', '.join(clip.name for clip in clips.guides)}; judged by {clips.judge.name}")
    if begun.written:
        echo(f"  written: {_listed(begun.written)}")
    if begun.kept:
        echo(f"  there already, and left as they are: {_listed(begun.kept)}")
    for note in begun.notes:
        echo(f"  {note}")
    if begun.unignored:
        echo("  .gitignore lacks these lines, without which git shows weights and stores as untracked:")
        for line in begun.unignored:
            echo(f"    {line}")
    echo("")
    echo("Next:")
    steps = {
        f"cd {shlex.quote(str(folder))}": folder.resolve() != Path.cwd(),
        f"nada weights fetch {source.fetch}": bool(source.fetch) and not has_settings,
        "nada doctor    # what is missing, and the command that brings it": True,
        "nada plan      # what a night would do; your own domains are lines of prompts.csv": True,
        "nada run       # the night": minimal,
        "dvc repro      # the night, its results versioned; or nada run": not minimal,
    }
    for step, is_needed in steps.items():
        if is_needed:
            echo(f"  {step}")


@app.command(short_help="Say whether a night can run here.")
def doctor(
    params: Annotated[Path, typer.Option("--params", help="The settings file.")] = Path("params.yaml"),
) -> None:
    """Look at the machine, the project and its weights, and say what is missing and the command that brings it.

    Nothing is written, fetched or trained.

    \b
    Example:
      nada doctor

    Exit status: 0 a night can run, 1 something is missing.
    """
    from flows.cli.display import make_console
    from flows.cli.project.health_view import finding_lines
    from tasks.health.checkup import checkup
    from tasks.plan.wording import count

    console, num_missing, last = make_console(), 0, ""
    for heading, finding in checkup(params):
        if heading != last:
            console.print(heading if not last else f"\n{heading}", style="bold", markup=False)
            last = heading
        num_missing += finding.state == "missing"
        for line in finding_lines(finding, min(console.width, DOCTOR_WIDTH)):
            console.print(line, soft_wrap=True)
    console.print("")
    if num_missing:
        console.print(f"No night can run yet: {count(num_missing, 'thing')} missing.", style="bold red", markup=False)
        raise typer.Exit(EXIT_NOT_READY)
    console.print("A night can run: nada plan shows what it would do.", style="bold green", markup=False)


def _listed(names: tuple[str, ...]) -> str:
    """Files, those of a folder of settings told once by its name."""
    return ", ".join(dict.fromkeys(".dvc" if name.startswith(".dvc/") else name for name in names))
