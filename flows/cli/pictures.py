"""The commands that look at finished domains: `nada sample`, `strip`, `mix` and `video`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.terminal import PlainConsole, echo

app = typer.Typer()

CountOption = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many pictures.")]
FewOption = Annotated[int, typer.Option("--count", min=1, max=64, help="How many latents, side by side.")]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Of the latents: the same seed gives the same faces in any domain.")
]
PsiOption = Annotated[float, typer.Option(min=0.0, max=2.0, help="Truncation: 1 is all variety, less is tamer.")]
OutOption = Annotated[Path | None, typer.Option(help="One picture with all of them in a grid: .png or .jpg.")]
FolderOption = Annotated[Path | None, typer.Option(help="One file each, in this folder, instead of a grid.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, or cuda:0.")]
ParamsOption = Annotated[
    Path, typer.Option("--params", help="The settings file; paths inside it are relative to where you stand.")
]


@app.command(short_help="Make pictures with any finished domain.")
def sample(
    domain: Annotated[str, typer.Argument(help="A finished domain, or 'source' for the generator it came from.")],
    count: CountOption = 16,
    seed: SeedOption = 0,
    psi: PsiOption = 0.7,
    out: OutOption = None,
    folder: FolderOption = None,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Make pictures with any finished domain.

    \b
    Examples:
      nada sample sketch                                 a grid of 16 in sketch.png
      nada sample source --seed 3 --out before.png       the same seed in two domains:
      nada sample sketch --seed 3 --out after.png        the same faces before and after
      nada sample sketch --count 1000 --psi 1 --folder sketches/
    """
    mix([domain], count, seed, psi, out or (None if folder else Path(f"{domain}.png")), folder, None, device, params)


@app.command(short_help="Show the same latents through all domains.")
def strip(
    domains: Annotated[list[str] | None, typer.Argument(help="Finished domains; all of them by default.")] = None,
    count: FewOption = 8,
    seed: SeedOption = 0,
    psi: PsiOption = 0.7,
    out: Annotated[Path, typer.Option(help="The picture: .png or .jpg.")] = Path("strip.png"),
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show the same latents through all domains: a row a domain, the source on top.

    \b
    Examples:
      nada strip                          every finished domain, in strip.png
      nada strip sketch sepia --count 5 --seed 3
    """
    from tasks.library.sample import check_picture
    from tasks.library.sample import strip as draw

    check_picture("--out", out)
    draw(domains or [], params, count, seed, psi, device, out)
    echo(str(out))


@app.command(short_help="Make pictures between domains.")
def mix(
    parts: Annotated[
        list[str], typer.Argument(metavar="DOMAIN:SHARE...", help="Domains, each with its share, such as sketch:0.6.")
    ],
    count: CountOption = 16,
    seed: SeedOption = 0,
    psi: PsiOption = 0.7,
    out: OutOption = None,
    folder: FolderOption = None,
    weights: Annotated[Path | None, typer.Option(help="Also keep the mixed generator, as .safetensors.")] = None,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Make pictures between domains, by mixing their weights.

    A share is the part of a domain's change that is added to the source: shares that add up to 1 leave nothing of
    the source's look, 0.5 of one domain is half way to it, and a negative share moves away from it.

    \b
    Examples:
      nada mix sketch:0.6 sepia:0.4                      a grid of 16 in mix.png
      nada mix sketch:0.5                                half a sketch
      nada mix sketch:1 sepia:-0.3 --weights cold-sketch.safetensors
    """
    if out is not None and folder is not None:
        raise typer.BadParameter("give --out or --folder, not both")
    from nada.checkpoints import save_generator
    from tasks.library.domains import open_domain, open_generator, open_mix, parse_part
    from tasks.library.sample import check_picture, sample_folder, sample_grid

    target = out or Path("mix.png")
    check_picture("--out", target)
    read = [parse_part(part) for part in parts]
    is_whole = len(read) == 1 and read[0][1] == 1.0
    name = read[0][0]
    domain = open_domain(name, params, device) if is_whole else open_mix(read, params, device)
    if weights is not None:
        save_generator(weights, open_generator(name, params, device) if is_whole else open_mix(read, params, device))
        echo(str(weights))
    if folder is not None:
        sample_folder(domain, count, seed, psi, folder)
        echo(f"{count} pictures in {folder}")
    else:
        sample_grid(domain, count, seed, psi, target)
        echo(str(target))


@app.command(short_help="Film a walk through one domain, or from domain to domain.")
def video(
    domains: Annotated[list[str], typer.Argument(help="One finished domain, or several to go through in turn.")],
    out: Annotated[Path, typer.Option(help="The film: .mp4 or .gif.")] = Path("walk.mp4"),
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="Length of the film.")] = 8.0,
    fps: Annotated[int, typer.Option(min=1, max=60, help="Frames per second.")] = 24,
    keys: Annotated[int, typer.Option(min=3, max=1000, help="Latents that the walk passes on its way.")] = 6,
    count: FewOption = 1,
    seed: SeedOption = 0,
    psi: PsiOption = 0.7,
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Film a walk through the latents of one domain, or from domain to domain by mixing their weights.

    The walk is closed: played in a loop, the film has no seam.

    \b
    Examples:
      nada video sketch                                  8 seconds in walk.mp4
      nada video source sketch sepia --seconds 12        from domain to domain and back
      nada video sketch --count 4 --fps 12 --out walk.gif
    """
    from rich.progress import track

    from tasks.library.video import check_format, film, write_film

    check_format(out)
    num_frames = max(1, round(seconds * fps))
    frames = film(domains, params, count, keys, num_frames, seed, psi, device)
    console = PlainConsole(stderr=True)
    shown = track(frames, "Rendering", num_frames, console=console, transient=True, disable=not console.is_terminal)
    write_film(iter(shown), fps, out)
    echo(str(out))
