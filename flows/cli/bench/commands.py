"""`nada bench`: what this machine takes for a step, and what a night would come to."""

# ruff: noqa: D301 (click reads the backslash-b before blocks that it must not reflow)

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nada.errors import InputError, NadaError

if TYPE_CHECKING:
    from tasks.bench.bench import Night, Result

app = typer.Typer()


@app.command(short_help="Measure a step here, and what a night would come to.")
def bench(
    resolution: Annotated[
        list[int] | None,
        typer.Option(
            "--resolution",
            help="A generator of random weights and a ViT-B/32, in place of the project's; again for more.",
        ),
    ] = None,
    family: Annotated[str, typer.Option(help="Of that generator: stylegan2, stylegan3, mobilestylegan.")] = "stylegan2",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Only this case, such as 'adapt, modulation'; again for more.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=1000, help="Measured of each row, after one to warm up.")] = 5,
    batch_size: Annotated[
        int | None, typer.Option(min=1, max=256, help="Pictures a step, in place of params.yaml's.", show_default=False)
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda:0.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, max=256, help="On a CPU, of each worker.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every figure.")] = False,
    params: Annotated[Path, typer.Option("--params", help="The settings file.")] = Path("params.yaml"),
) -> None:
    """Measure steps by phase and peak memory for every method, and estimate a night of 20 rows from them.

    Each case runs two short rows in a process of its own: the second meets a source that is known by then, as all but
    the first row of a worker do. Seconds on a CPU are of the processor: what an idle core takes, however busy the
    machine. Nothing is written. The table is Markdown: paste it into an issue.

    \b
    Examples:
      nada bench                                   the project's generator and guides
      nada bench --resolution 256 --batch-size 2   StyleGAN2 config-f of random weights
      nada bench --only 'adapt, full' --json
    """
    from tasks.bench.bench import NIGHT_ROWS, Night, machine, run_cases
    from tasks.bench.case import CASES, Case
    from tasks.config.params import load_params

    chosen = only or list(CASES)
    if unknown := [name for name in chosen if name not in CASES]:
        raise InputError(f"--only: no case {unknown[0]!r}; there are {', '.join(map(repr, CASES))}")
    settings = load_params(params)
    here = machine()
    workers = max(1, int(here["cores"]) // threads) if device == "cpu" else 1
    night = Night(rows=NIGHT_ROWS, workers=workers, judged=settings.judge.num_images)
    common: dict[str, Any] = {"params": str(params), "steps": steps, "device": device, "threads": threads}
    common |= {"batch_size": batch_size, "family": family}
    sizes: list[int | None] = [*resolution] if resolution else [None]
    cases = [Case(name=name, resolution=px, **common) for px in sizes for name in chosen]
    results = []
    if not as_json:
        typer.echo(heading(here, device, threads, night, "" if resolution else str(settings.generator.weights)))
    for result in run_cases(cases):
        results.append(result)
        if not as_json:
            typer.echo(line(result, night))
    if as_json:
        typer.echo(json.dumps({"machine": here, "results": [told(result, night) for result in results]}, indent=2))
    if all(result.measured is None for result in results):
        raise NadaError("nothing could be measured")


COLUMNS = ("px", "case", "batch", "select", "source", "target", "embed", "backward", "update", "a step, s")
MORE = ("next row, s", "peak, GiB", "start, s", "domains/h")


def heading(here: dict[str, str | int], device: str, threads: int, night: Night, generator: str) -> str:
    """What was measured where, and the table's head."""
    words = ", ".join(f"{name} {value}" for name, value in here.items())
    columns = (*COLUMNS, *MORE)
    return (
        f"{words}; {device}, {threads} thread(s) a worker{f'; {generator}' if generator else ''}\n"
        f"domains/h: {night.rows} rows on {night.workers} worker(s), start and {night.judged} judged pictures a row "
        f"included, by these steps\n\n| {' | '.join(columns)} |\n|{'---|' * 2}{'---:|' * (len(columns) - 2)}"
    )


def line(result: Result, night: Night) -> str:
    """One line of the table."""
    from tasks.bench.stopwatch import PHASES

    case, found = result.case, result.measured
    px = case.resolution or "own"
    if found is None:
        return f"| {px} | {result.error} |{' |' * (len(COLUMNS) + len(MORE) - 2)}"
    phases = " | ".join(f"{found.phases[phase]:.3g}" for phase in PHASES)
    peak = "?" if found.peak_bytes is None else f"{found.peak_bytes / (1 << 30):.2f}"
    start = found.import_seconds + found.load_seconds + found.first_step_seconds
    rest = f"{found.step_seconds:.3g} | {found.next_step_seconds:.3g} | {peak} | {start:.1f}"
    return f"| {px} | {case.name} | {found.batch_size} | {phases} | {rest} | {night.domains_per_hour(found):.3g} |"


def told(result: Result, night: Night) -> dict[str, Any]:
    """The same with every figure, as plain data."""
    from dataclasses import asdict

    content = asdict(result)
    if result.measured is not None:
        content["night"] = {**asdict(night), "domains_per_hour": night.domains_per_hour(result.measured)}
    return content
