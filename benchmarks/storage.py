"""What an adapted generator weighs on disk: whole, in float16, and as what changed; and what that costs.

    python benchmarks/storage.py                          # 64 px: the bundled generator, adapted as in the night
    python benchmarks/storage.py --px 256 --steps 10 30 100
    python benchmarks/storage.py --px 1024 --steps 10 --batch 1     # some 8 GiB of memory

Above 64 px the generator is a config-f with random weights (channel_base 16384 at 256 px, else 32768), whose pictures
are scaled to the contrast of photographs, and its convolutions are trained at the paper's learning rate. Random
weights have the scale of trained ones, which are stored at unit variance; their bits are as noisy. Differences grow
with the steps. Sizes carry over between machines; seconds do not.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from nada.checkpoints import load_generator, read_any, save_delta, save_fp16, save_generator
from nada.checkpoints.delta import encode
from nada.clip.goal import PromptPair
from nada.clip.loading import load_guide
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.images import levels_apart, to_u8
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from tasks.config.model import Params
from tasks.config.params import load_params

PAIR = PromptPair("cartoon portrait", "pencil sketch")
CONTRAST = 0.5  # standard deviation of photographs in [-1, 1]
NOISE_STRENGTH = 0.1
REPEATS = 3  # a figure in seconds is the median of these


def main() -> None:
    """Adapt, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--px", type=int, default=64, choices=(64, 256, 1024))
    parser.add_argument("--steps", type=int, nargs="+", default=[150], help="measure after these (default 150)")
    parser.add_argument("--batch", type=int, default=2, help="of the random generators (default 2)")
    parser.add_argument("--pictures", type=int, default=8, help="compared (default 8)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params()
    source = read_any(Path(params.generator.weights)) if args.px == 64 else random_generator(args.px)
    config = how_to_adapt(params, args.px, max(args.steps), args.batch)
    print(f"python {platform.python_version()}, torch {torch.__version__}, one thread of {platform.machine()}")
    weights = sum(parameter.numel() for parameter in source.parameters()) / 1e6
    print(f"{args.px} px, {weights:.1f} M parameters, train: {config.train}, {args.pictures} pictures compared\n")
    print("| px | steps | stored as | MB | of whole | levels, largest | levels, mean | write, s | read, s |")
    print("|---|---|---|---|---|---|---|---|---|")

    target = copy.deepcopy(source)
    guide = load_guide(params.guide, "cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_generator(folder / "parent.safetensors", source)
        for step in Adaptation(source, target, guide, PAIR, config, seed=0):
            if step.index + 1 in args.steps:
                measure(folder, source, target, args.px, step.index + 1, args.pictures)


def how_to_adapt(params: Params, px: int, steps: int, batch: int) -> AdaptConfig:
    """The night's style recipe for the bundled generator, the paper's settings for a large one."""
    if px == 64:
        return AdaptConfig.model_validate({**params.recipe("style").model_dump(), "iterations": steps})
    return AdaptConfig(iterations=steps, batch_size=batch, train="convs")


def random_generator(px: int) -> StyleGAN2:
    """A config-f whose pictures have the contrast of photographs."""
    torch.manual_seed(0)
    generator = StyleGAN2(StyleGAN2Config(resolution=px, channel_base=16384 if px == 256 else 32768, conv_clamp=256.0))
    generator.eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(NOISE_STRENGTH)
    gain = CONTRAST / pictures(generator, 2).std()
    for weight in generator.rgb_weights():
        weight.mul_(gain)
    return generator


def measure(folder: Path, source: Network, target: Network, px: int, steps: int, count: int) -> None:
    """Print one line a kind of file."""
    exact = to_u8(pictures(target, count))
    whole_bytes = 0
    kinds: dict[str, Callable[[Path], object]] = {
        "whole": lambda path: save_generator(path, target),
        "float16": lambda path: save_fp16(path, target),
        "difference": lambda path: save_delta(path, target, folder / "parent.safetensors", "parent"),
    }
    for kind, write in kinds.items():
        path = folder / "written.safetensors"
        write_seconds = median_seconds(partial(write, path))
        read_seconds = median_seconds(partial(load_generator, path))
        size_bytes = path.stat().st_size
        whole_bytes = whole_bytes or size_bytes
        largest, mean = levels_apart(exact, to_u8(pictures(load_generator(path), count)))
        print(
            f"| {px} | {steps} | {kind} | {size_bytes / 1e6:.2f} | {size_bytes / whole_bytes:.0%} | {largest} "
            f"| {mean:.2g} | {write_seconds:.2f} | {read_seconds:.2f} |",
            flush=True,
        )
    changed = encode(target.state_dict(), source.state_dict())
    plain_bytes = sum(target.state_dict()[name].nbytes for name in changed)
    share = plain_bytes / whole_bytes
    print(f"| {px} | {steps} | changed tensors, plainly | {plain_bytes / 1e6:.2f} | {share:.0%} | 0 | 0 | | |")


@torch.no_grad()
def pictures(generator: Network, count: int) -> Tensor:
    """img [N, 3, R, R] of fixed latents, one at a time: a large generator's activations fill memory."""
    ws = draw_ws(count, generator, seeded_rng(1))
    return torch.cat([generator.synthesis(one[None], noise="const") for one in ws])


def median_seconds(work: Callable[[], object]) -> float:
    """Median seconds of some work."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    main()
