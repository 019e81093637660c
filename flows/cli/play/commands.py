"""`nada app` and `nada gallery`: a library to play with, and one to share."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.pictures import DeviceOption, ParamsOption, SeedOption
from flows.cli.terminal import PlainConsole, echo

app = typer.Typer()


@app.command(short_help="Write a page of the whole library, to share.")
def gallery(
    domains: Annotated[list[str] | None, typer.Argument(help="Finished domains; all of them by default.")] = None,
    out: Annotated[Path, typer.Option(help="The folder: new, empty, or an earlier gallery alone.")] = Path("site"),
    title: Annotated[str, typer.Option(help="Of the page.")] = "Gallery",
    count: Annotated[int, typer.Option("--count", min=1, max=12, help="Latents that each domain draws.")] = 6,
    seed: SeedOption = 0,
    psi: Annotated[float, typer.Option("--psi", "--truncation-psi", min=0.0, max=2.0, help="Truncation.")] = 0.7,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write the whole library as a folder of plain files: a page, and its pictures.

    It needs no server and asks no address for anything: open it from disk, zip it, or put it on any web space. An
    earlier gallery is replaced once the new one is whole. A folder that holds anything else, such as .git, is refused:
    write beside it, and copy.

    \b
    Examples:
      nada gallery                            site/index.html
      nada gallery sketch sepia --out sketches --title "Two sketches"
    """
    from rich.progress import track

    from tasks.gallery.build import PAGE, Gallery
    from tasks.library.latents import Shown
    from tasks.plan.wording import count as counted

    making = Gallery(params, domains or [], out, title, Shown(count=count, seed=seed, psi=psi), device)
    console = PlainConsole(stderr=True, highlight=False, soft_wrap=True)
    bar = track(making, "Drawing", len(making.shown), console=console, transient=True, disable=not console.is_terminal)
    names = list(bar)
    for name, why in making.left_out.items():
        console.print(f"{name}: left out; {why}", markup=False)
    num_bytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    echo(f"{counted(len(names), 'domain')}, {num_bytes / 1e6:.1f} MB")
    echo(out / PAGE)


@app.command("app", short_help="Play with the library in a browser.")
def app_(
    host: Annotated[str, typer.Option(help="Who may open it: this machine alone by default.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7860,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Play with the library in a browser: looks, people, mixes, your own photo in every look, and files to keep.

    It runs on this machine, answers this machine alone, and asks no other for anything. Ctrl-C ends it. Photos are
    kept in memory and a temporary folder, which goes when it ends; their latents stay under .cache/inversions.

    With --host 0.0.0.0 everybody who reaches this machine can see the library, draw with it, fetch its weights and
    upload photos: there is no password, and pages of other sites that they open may reach it, too.

    \b
    Examples:
      nada app                      http://127.0.0.1:7860
      nada app --port 0 --open
      nada app --device cuda:0
    """
    from flows.app.serving import serve

    serve(params, device, host, port, open_)
