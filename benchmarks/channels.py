"""How many pictures a style channel needs: the method `directions` on 20 a channel beside 100, on the bundled avatars.

    python benchmarks/channels.py                                    # toRGB's channels: half an hour of a core
    python benchmarks/channels.py --layers b64.conv1 --csv CHANNELS.csv

Measured with the same statistics of channels, on the latents that `directions.channels.num_images` draws. Of each
layer: the cosine of a channel's two directions, its mean and its lowest tenth. Of each text: how relevances correlate,
which channels either keeps, and what the judge says of the edit that comes of it.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from light_truth import SOURCE_TEXT, TARGETS, Bench
from torch import Tensor

from nada.atomic import replacing
from nada.clip.goal import PromptPair
from nada.errors import ParamsError
from nada.generators.registry import Network
from nada.judge import retrieve, score_domain
from nada.judge.samples import render
from nada.methods.directions.channels import Channels
from nada.methods.directions.config import ChannelsConfig
from nada.methods.directions.edit import relevance_to, style_offset
from nada.methods.directions.measuring import Measuring
from nada.methods.moved_styles import offset_domain
from tasks.config.params import load_params

BATCH = 16
ALPHA, BETA = 4.0, 0.35  # of the recipe `tint`


def main() -> None:
    """Measure twice, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", nargs="+", help="style layers (default: those of toRGB)")
    parser.add_argument("--pictures", type=int, nargs=2, default=(20, 100), help="a channel (default 20 and 100)")
    parser.add_argument("--num", type=int, default=200, help="pictures that the judge looks at (default 200)")
    parser.add_argument("--csv", type=Path, help="a file for the figures of texts")
    args = parser.parse_args()
    torch.set_num_threads(1)
    bench = Bench(load_params(), args.num)
    rgb = [layer.name for layer in bench.source.style_layers() if layer.is_rgb]
    few, many = (measured(bench, args.layers or rgb, count) for count in args.pictures)

    print(f"| layer | channels | cosine, {args.pictures[0]} to {args.pictures[1]} pictures: mean | lowest tenth |")
    print("|---|---:|---:|---:|")
    for layer, cosines in few[0].split(agreement(few, many, bench.guide.weights)).items():
        print(f"| {layer} | {len(cosines)} | {cosines.mean():.3f} | {cosines.quantile(0.1):.3f} |")

    lines = [line for target in TARGETS for line in of_text(bench, target, {"few": few, "many": many})]
    print("\n| " + " | ".join(lines[0]) + " |\n|" + "---|" * len(lines[0]))
    for line in lines:
        print("| " + " | ".join(line.values()) + " |", flush=True)
    if args.csv:
        with replacing(args.csv) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(lines[0]))
            writer.writeheader()
            writer.writerows(lines)


def measured(bench: Bench, layers: Sequence[str], count: int) -> list[Channels]:
    """Channels of some layers, one a model of the guide."""
    config = ChannelsConfig(num_images=count, layers="convs+rgb")
    begun = time.process_time()
    measuring = Measuring(bench.source, bench.guide.models, config)
    of_layers = {name: measuring.layers[name] for name in layers}
    rows = [measuring.relevance(name, range(num)) for name, num in of_layers.items()]
    means, stds = (torch.cat([of[name] for name in layers]) for of in measuring.statistics)
    seconds = time.process_time() - begun
    print(f"{sum(of_layers.values())} channels, {count} pictures each: {seconds:.0f} s of the processor", flush=True)
    return [Channels(of_layers, means, stds, torch.cat(of_clip)) for of_clip in zip(*rows, strict=True)]


def agreement(few: Sequence[Channels], many: Sequence[Channels], weights: Sequence[float]) -> Tensor:
    """Cosine of each channel's two directions, [K], mean over the guide's models."""
    terms = [
        weight * F.cosine_similarity(one.relevance, other.relevance, dim=1)
        for one, other, weight in zip(few, many, weights, strict=True)
    ]
    return torch.stack(terms).sum(dim=0) / sum(weights)


def of_text(bench: Bench, target: str, of: dict[str, list[Channels]]) -> Iterator[dict[str, str]]:
    """A line for each of the two measurements."""
    pair = PromptPair(SOURCE_TEXT, target)
    relevances = {
        name: relevance_to(one, pair.directions(bench.guide), bench.guide.weights) for name, one in of.items()
    }
    kept = {name: relevance.abs() >= BETA for name, relevance in relevances.items()}
    both = int((kept["few"] & kept["many"]).sum())
    correlation = float(torch.corrcoef(torch.stack(list(relevances.values())))[0, 1])
    for name, channels in of.items():
        line = {"text": target, "measured": name, "correlation": f"{correlation:.3f}"}
        line |= {"largest": f"{relevances[name].abs().max():.3f}", "kept": str(int(kept[name].sum()))}
        line |= {"kept by both": str(both), "along the text": "", "found, %": "", "variety kept, %": ""}
        try:
            offset = style_offset(relevances[name], channels[0].std, ALPHA, BETA)
        except ParamsError:  # no channel is as relevant
            yield line
            continue
        yield line | judged(bench, pair, channels[0].split(offset))


def judged(bench: Bench, pair: PromptPair, offsets: dict[str, Tensor]) -> dict[str, str]:
    """What the judge says of an edit."""
    source: Network = bench.source
    made = bench.judge.features(torch.cat(list(render(offset_domain(source, offsets), bench.ws, BATCH))))
    scores = score_domain(bench.judge, pair.source, pair.target, bench.features, made, None)
    found = retrieve(bench.judge.clip, pair, made.emb, TARGETS).score
    return {
        "along the text": f"{scores['directional_similarity'].value:.3f}",
        "found, %": f"{100 * (0.0 if found is None else found.value):.0f}",
        "variety kept, %": f"{100 * scores['structure_ratio'].value:.0f}",
    }


if __name__ == "__main__":
    main()
