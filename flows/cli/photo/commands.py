"""`nada invert` and `nada apply`: a photo of your own in every domain."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.pictures import DeviceOption, ParamsOption
from flows.cli.terminal import PlainConsole, echo
from nada.inversion.config import InversionConfig

if TYPE_CHECKING:
    from nada.latent_files import LatentFile
    from tasks.library.captions import Cell
    from tasks.library.photo import PhotoInversion

MEASURED_STEPS = 10
"""After so many the rest is estimated: the first are slow."""
SOURCE = "source"

app = typer.Typer()

StepsOption = Annotated[
    int, typer.Option("--steps", min=1, max=100_000, help="In W, one w for all layers, as published.")
]
PlusStepsOption = Annotated[
    int, typer.Option("--plus-steps", min=0, max=100_000, help="Then in W+, a row for each layer: nearer to the photo.")
]


@app.command(short_help="Find the latent of a photo.")
def invert(
    photo: Annotated[Path, typer.Argument(help="A picture: .jpg, .png, .webp and others.")],
    out: Annotated[
        Path | None,
        typer.Option(help="The latent: .npz. By default PHOTO.npz, where you stand.", show_default=False),
    ] = None,
    on: Annotated[
        str, typer.Option(help="A finished domain that draws such pictures, in place of its source.")
    ] = SOURCE,
    steps: StepsOption = InversionConfig.w_steps,
    plus_steps: PlusStepsOption = InversionConfig.plus_steps,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Find the latent from which a generator draws a photo, for nada apply, sample, strip and video.

    A picture of the same name shows the photo beside what the generator makes of it, with the error. The centre
    square of the photo is taken, and nothing is aligned: for a generator of faces, cut it as FFHQ is cut (one
    upright face that looks ahead, eyes level and a little above the middle, chin and hair inside).

    More steps in W+ come nearer to the photo, and edits of it become less sure; none at all edit best.

    \b
    Examples:
      nada invert me.jpg                                 me.npz and me.png
      nada invert me.jpg --plus-steps 0 --out rough.npz
      nada invert robot.png --on robot                   a picture of a domain, to draw it in the others
    """
    from nada.errors import OutputError
    from tasks.library.photo import picture_beside

    target = out or Path(f"{photo.stem}.npz")
    if target.suffix.lower() != ".npz":
        raise OutputError(f"--out: {str(target)!r} names no file of latents; its name ends in .npz")
    picture = picture_beside(target)
    if picture.resolve() == photo.resolve():
        raise OutputError(f"{picture}: is the photo itself; choose another --out")
    if picture.exists() and not target.exists():
        raise OutputError(f"{picture}: is there already, and of no earlier inversion; choose another --out")
    inversion = _prepared(photo, params, on, steps, plus_steps, device)
    _run(inversion)
    latents = inversion.save(target)
    _say_result(latents)
    echo(target)
    echo(picture_beside(target))


@app.command(short_help="Draw a photo or a latent in every domain.")
def apply(
    what: Annotated[Path, typer.Argument(metavar="LATENTS|PHOTO", help="A file of nada invert, or the photo itself.")],
    domains: Annotated[list[str] | None, typer.Argument(help="Finished domains; all of them by default.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder; by default NAME-domains. The one picture is NAME-domains.png.", show_default=False
        ),
    ] = None,
    steps: StepsOption = InversionConfig.w_steps,
    plus_steps: PlusStepsOption = InversionConfig.plus_steps,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Draw a photo or a latent in every finished domain: one picture with names, and a folder of single ones.

    A photo is inverted first, once: its latent is kept under .cache/inversions. Latents of other tools are read as
    well: .npz or .npy of W or W+.

    \b
    Examples:
      nada apply me.npz                      every finished domain, in me-domains/ and me-domains.png
      nada apply me.jpg sketch sepia --out mine
    """  # fmt: skip
    from rich.progress import track

    from nada.latent_files import is_latents, read_latents
    from tasks.library.apply import Application, check_names, check_spares
    from tasks.plan.wording import count

    folder = out or Path(f"{what.stem}-domains")
    check_spares(what, folder)
    first: list[Cell] = []
    if is_latents(what):
        latents = read_latents(what)
    else:
        inversion = _prepared(what, params, SOURCE, steps, plus_steps, device)
        check_names(domains or [], inversion.generator, what, params)  # it takes minutes
        _run(inversion)
        latents = read_latents(inversion.kept)
        first.append(inversion.cell)
        _say_result(latents)
    drawing = Application(latents, params, domains or [], folder, device, first)
    console = PlainConsole(stderr=True)
    bar = track(
        drawing, "Drawing", len(drawing.shown), console=console, transient=True, disable=not console.is_terminal
    )
    names = list(bar)
    for name, why in drawing.left_out.items():
        _say(f"{name}: left out; {why}")
    echo(f"{count(len(names), 'domain')} in {folder}")
    echo(drawing.sheet)


def _prepared(photo: Path, params: Path, on: str, steps: int, plus_steps: int, device: str) -> PhotoInversion:
    """A photo and the networks, with what is to be said of them."""
    from tasks.library.photo import PhotoInversion

    config = InversionConfig(w_steps=steps, plus_steps=plus_steps)
    inversion = PhotoInversion(photo, params, config, on, device)
    for note in inversion.notes:
        _say(note)
    _say(f"Compared by {inversion.perceptual.name}.")
    if inversion.why_not_lpips:
        _say(f"Not by LPIPS: {inversion.why_not_lpips}.")
    return inversion


def _run(inversion: PhotoInversion) -> None:
    """To the last step, with a bar on a terminal, and how long it takes in a log."""
    from rich.progress import track

    total = inversion.num_steps
    if total == 0:
        _say("Inverted before, with the same settings: taken from there.")
        return
    console = PlainConsole(stderr=True)
    bar = track(inversion, "Inverting", total, console=console, transient=True, disable=not console.is_terminal)
    started = time.monotonic()
    for step in bar:
        if step.index + 1 == MEASURED_STEPS:
            seconds = (time.monotonic() - started) / MEASURED_STEPS * total
            _say(f"{total} steps, about {_lasting(seconds)}.")


def _lasting(seconds: float) -> str:
    """`40 seconds`, `12 minutes`."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _say_result(latents: LatentFile) -> None:
    from tasks.library.photo import error_in_words

    _say(f"{error_in_words(latents).capitalize()}.")


def _say(text: str) -> None:
    """A line beside the results, for people."""
    PlainConsole(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False)
