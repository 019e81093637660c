"""The commands that look at finished domains: `nada sample`, `strip`, `mix` and `video`."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.terminal import PlainConsole, echo

if TYPE_CHECKING:
    from tasks.library.latents import Shown

app = typer.Typer()

CountOption = Annotated[int, typer.Option("--count", min=1, max=1_000_000, help="How many pictures.")]
FewOption = Annotated[int, typer.Option("--count", min=1, max=64, help="How many latents, side by side.")]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="Of the latents: the same seed gives the same faces in any domain.")
]
PsiOption = Annotated[
    float | None,
    typer.Option(
        "--psi",
        "--truncation-psi",
        min=0.0,
        max=2.0,
        help="Truncation: 1 is all variety, less is tamer; by default 0.7 of seeds, and 1 of --latents.",
        show_default=False,
    ),
]
LatentsOption = Annotated[
    Path | None,
    typer.Option(
        help="Draw these in place of a seed's: .npz or .npy of W or W+, as of nada invert.", show_default=False
    ),
]
StyleSeedOption = Annotated[
    int | None,
    typer.Option(
        min=0, max=2**31 - 1, help="Style mixing: some layers of all pictures from this seed.", show_default=False
    ),
]
StyleLayersOption = Annotated[
    str, typer.Option(help="Those layers, such as 4-9 or 0,2-3; the finer half by default.", show_default=False)
]
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
    psi: PsiOption = None,
    latents: LatentsOption = None,
    style_seed: StyleSeedOption = None,
    style_layers: StyleLayersOption = "",
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
      nada sample sketch --latents me.npz                an inverted photo, or latents of other tools
      nada sample sketch --style-seed 7 --style-layers 5-9
    """
    target = out or (None if folder else Path(f"{domain}.png"))
    mix([domain], count, seed, psi, latents, style_seed, style_layers, target, folder, None, device, params)


@app.command(short_help="Show the same latents through all domains.")
def strip(
    domains: Annotated[list[str] | None, typer.Argument(help="Finished domains; all of them by default.")] = None,
    count: FewOption = 8,
    seed: SeedOption = 0,
    psi: PsiOption = None,
    latents: LatentsOption = None,
    style_seed: StyleSeedOption = None,
    style_layers: StyleLayersOption = "",
    out: Annotated[Path, typer.Option(help="The picture: .png or .jpg.")] = Path("strip.png"),
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Show the same latents through all domains: a row a domain, the source on top.

    \b
    Examples:
      nada strip                          every finished domain, in strip.png
      nada strip sketch sepia --count 5 --seed 3
      nada strip --latents me.npz
    """
    from tasks.library.sample import check_picture
    from tasks.library.sample import strip as draw

    check_picture("--out", out)
    shown = _shown(count, seed, psi, latents, style_seed, style_layers)
    for name, why in draw(domains or [], params, shown, device, out).items():
        typer.echo(f"{name}: left out; {why}", err=True)
    echo(str(out))


@app.command(short_help="Make pictures between domains.")
def mix(
    parts: Annotated[
        list[str], typer.Argument(metavar="DOMAIN:SHARE...", help="Domains, each with its share, such as sketch:0.6.")
    ],
    count: CountOption = 16,
    seed: SeedOption = 0,
    psi: PsiOption = None,
    latents: LatentsOption = None,
    style_seed: StyleSeedOption = None,
    style_layers: StyleLayersOption = "",
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
    from nada.errors import ParamsError
    from nada.generators.light.generator import whole
    from tasks.config.params import load_params
    from tasks.library.domains import open_domain, open_generator, open_mix, parse_part
    from tasks.library.sample import check_picture, sample_folder, sample_grid

    target = out or Path("mix.png")
    check_picture("--out", target)
    if weights is not None and weights.suffix.lower() != ".safetensors":
        raise ParamsError(
            f"--weights: {str(weights)!r} does not end in .safetensors; nada weights convert makes others of that"
        )
    read = [parse_part(part) for part in parts]
    is_whole = len(read) == 1 and read[0][1] == 1.0
    name = read[0][0]
    shown = _shown(count, seed, psi, latents, style_seed, style_layers)
    shown.check([part for part, _ in read], load_params(params))
    domain = open_domain(name, params, device) if is_whole else open_mix(read, params, device)
    if weights is not None:
        save_generator(
            weights, whole(open_generator(name, params, device) if is_whole else open_mix(read, params, device))
        )
        echo(str(weights))
    if folder is not None:
        echo(f"{sample_folder(domain, shown, folder)} pictures in {folder}")
    else:
        sample_grid(domain, shown, target)
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
    psi: PsiOption = None,
    latents: LatentsOption = None,
    style_seed: StyleSeedOption = None,
    style_layers: StyleLayersOption = "",
    device: DeviceOption = "cpu",
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Film a walk through the latents of one domain, or from domain to domain by mixing their weights.

    The walk is closed: played in a loop, the film has no seam. Latents of a file are passed in turn; a single one,
    such as an inverted photo, stands still while the domain changes.

    \b
    Examples:
      nada video sketch                                  8 seconds in walk.mp4
      nada video source sketch sepia --seconds 12        from domain to domain and back
      nada video sketch --count 4 --fps 12 --out walk.gif
      nada video source sketch sepia --latents me.npz    a photo from domain to domain
    """
    from rich.progress import track

    from tasks.library.video import check_format, film, write_film

    check_format(out)
    num_frames = max(1, round(seconds * fps))
    shown = _shown(count, seed, psi, latents, style_seed, style_layers)
    frames = film(domains, params, shown, keys, num_frames, device)
    console = PlainConsole(stderr=True)
    bar = track(frames, "Rendering", num_frames, console=console, transient=True, disable=not console.is_terminal)
    write_film(iter(bar), fps, out)
    echo(str(out))


def _shown(
    count: int, seed: int, psi: float | None, path: Path | None, style_seed: int | None, style_layers: str
) -> Shown:
    """Which latents are drawn."""
    from tasks.library.latents import Shown

    if style_layers and style_seed is None:
        raise typer.BadParameter("--style-layers says which layers come from --style-seed; give both")
    return Shown(count=count, seed=seed, psi=psi, path=path, style_seed=style_seed, style_layers=style_layers)
