"""How near finished rows are to the truth, where it is known: the filter of the source's own picture of each latent.

    python benchmarks/truth.py --world avatars                       # in the project's folder
    python benchmarks/truth.py --world faces --num 200 sepia neon --json TRUTH.json --sheet TRUTH.png

The latents are the judge's. Nothing of this is shown to a guide, a judge or triage: it is what they are checked
against. Rows of one domain with several seeds are named by it and a number, such as sepia-0 and sepia-1: the table has
their mean and spread. The sheet has the source on top, and below it each row and its true pictures. Figures:
docs/scores.md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from nada.atomic import replacing
from nada.generators.domain import Domain
from nada.images import grid, save_png
from nada.judge.paired import PixelFigures, pixel_figures
from nada.judge.samples import fixed_latents, render
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.library.domains import SOURCE, finished_domains, open_domain
from tasks.library.sample import labelled

EXAMPLES = Path(__file__).parents[1] / "examples"
WORLDS = ("avatars", "faces")
BATCH = 16
SHOWN = 8  # pictures of a row on the sheet
Truth = Callable[[Tensor], Tensor]
"""The source's pictures -> the true ones, both [N, 3, R, R] bytes."""


def truths_of(world: str) -> dict[str, Truth]:
    """What each domain that a filter defines truly looks like, by its slug; from the world's own `build` folder."""
    sys.path.insert(0, str(EXAMPLES / world / "build"))
    domains = importlib.import_module("domains")
    if world == "avatars":
        filters, own = importlib.import_module("filters").FILTERS, importlib.import_module("styles").SOURCE_STYLE
        of_texts = {domain.slug: filters[domain.treatment] for domain in domains.DOMAINS if domain.style == own}
        shown = {"two-inks": importlib.import_module("two_inks").two_inks}  # by pictures alone
        return {slug: _of_numpy(apply) for slug, apply in {**of_texts, **shown}.items()}
    return {domain.slug: _of_style(domains.true_pictures, domain.style) for domain in domains.DOMAINS}


def _of_numpy(apply: Callable[..., object]) -> Truth:
    return lambda img_u8: torch.from_numpy(apply(img_u8.permute(0, 2, 3, 1).numpy())).permute(0, 3, 1, 2)


def _of_style(true_pictures: Callable[[str, Tensor], Tensor], style: str) -> Truth:
    return lambda img_u8: true_pictures(style, img_u8)


@dataclass(frozen=True)
class Comparison:
    """A row beside the truth."""

    figures: PixelFigures
    adapted: Tensor
    """The first pictures, [SHOWN, 3, R, R] bytes."""
    true: Tensor
    """Their true ones."""


def compare(source: Sequence[Tensor], adapted: Domain, ws: Tensor, truth: Truth) -> Comparison:
    """Render a row on ws [N, L, W_DIM] and compare every picture with the true one.

    Args:
        source: the source's pictures on the same ws, in batches of BATCH.
        adapted: the row.
        ws: latents.
        truth: of the row.
    """
    parts: list[PixelFigures] = []
    shown: list[tuple[Tensor, Tensor]] = []
    for source_u8, adapted_u8 in zip(source, render(adapted, ws, BATCH), strict=True):
        true_u8 = truth(source_u8)
        parts.append(pixel_figures(source_u8, adapted_u8, true_u8))
        if len(shown) * BATCH < SHOWN:
            shown.append((adapted_u8, true_u8))
    whole = {field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(PixelFigures)}
    first, second = (torch.cat(imgs)[:SHOWN] for imgs in zip(*shown, strict=True))
    return Comparison(PixelFigures(**whole), first, second)


def domain_of(row: str, truths: Mapping[str, Truth]) -> str | None:
    """The domain whose truth is a row's: itself, or what its name begins with ahead of a number."""
    name = row if row in truths else re.sub("-[0-9]+$", "", row)
    return name if name in truths else None


def table(rows: Mapping[str, Mapping[str, float]], truths: Mapping[str, Truth]) -> Iterator[str]:
    """Markdown, a line a domain, with mean and standard deviation over its rows, and the means of all below."""
    names = list(next(iter(rows.values())))
    yield "| domain | rows | " + " | ".join(name.replace("_", " ") for name in names) + " |"
    yield "|---|---:" + "|---:" * len(names) + "|"
    domains: dict[str, list[Mapping[str, float]]] = {}
    for row, figures in rows.items():
        domains.setdefault(domain_of(row, truths) or row, []).append(figures)
    for domain, found in [*domains.items(), ("**mean**", list(rows.values()))]:
        cells = (_cell([figures[name] for figures in found], domain in domains) for name in names)
        yield f"| {domain} | {len(found)} | {' | '.join(cells)} |"


def _cell(values: Sequence[float], has_spread: bool) -> str:
    spread = f" ±{statistics.stdev(values):.2f}" if has_spread and len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


def main() -> None:
    """Compare, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domains", nargs="*", help="finished rows (default: all that a filter defines)")
    parser.add_argument("--world", choices=WORLDS, required=True, help="whose filters are the truth")
    parser.add_argument("--params", type=Path, default=HERE.params)
    parser.add_argument("--num", type=int, default=64, help="pictures of a row (default 64)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--sheet", type=Path, help="a PNG of the source, the rows and the truth")
    args = parser.parse_args()
    truths = truths_of(args.world)
    domains = args.domains or [domain for domain in finished_domains() if domain_of(domain, truths)]
    unknown = [domain for domain in domains if not domain_of(domain, truths)]
    if unknown or not domains:
        found = f"no filter defines {', '.join(unknown)}" if unknown else f"no finished row in {HERE.adapted}"
        parser.error(f"{found}; {args.world} has {', '.join(truths)}")

    params, whole = load_params(args.params), open_domain(SOURCE, args.params, args.device)
    ws = fixed_latents(whole, args.num, params.samples.truncation_psi)
    source = list(render(whole, ws, BATCH))
    rows: dict[str, dict[str, float]] = {}
    strips = {SOURCE: torch.cat(source)[:SHOWN]}
    for domain in domains:
        truth = truths[domain_of(domain, truths) or domain]
        beside = compare(source, open_domain(domain, args.params, args.device), ws, truth)
        rows[domain] = beside.figures.means()
        strips |= {domain: beside.adapted, f"{domain}, true": beside.true}
    print("\n".join(table(rows, truths)))
    if args.json:
        record = {"world": args.world, "pictures": args.num, "psi": params.samples.truncation_psi, "rows": rows}
        with replacing(args.json) as partial:
            partial.write_text(json.dumps(record, indent=1) + "\n")
    if args.sheet:
        save_png(labelled(list(strips), [grid(img_u8, SHOWN) for img_u8 in strips.values()]), args.sheet)


if __name__ == "__main__":
    main()
