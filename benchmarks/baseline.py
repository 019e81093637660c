"""A step beside one that is written straightforwardly, each row in a process of its own, in turns.

    python benchmarks/baseline.py                                       # the bundled world
    python benchmarks/baseline.py --resolution 256 --batch-size 2 --k all auto --repeats 2

The plain step does what the paper says and nothing else: one kernel per sample in a grouped convolution, the frozen
generator at every step, a fresh batch of eight for the selection of layers with the gradients of everything, and texts
padded to the model's context. It has the same networks, guides and random numbers. Ratios compare processes that ran in
turns; seconds are of the processor, medians over the steps. The seconds that `nada bench` prints are measured alike.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.clip.guide import Guide
from nada.clip.losses import directional_loss, global_loss
from nada.clip.templates import fill
from nada.generators import stylegan2
from nada.generators.registry import Network
from nada.generators.stylegan2_ops import LRELU_GAIN, LRELU_SLOPE, blur
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.layer_selection import eligible_layers, num_selected
from tasks.bench.bench import run_case
from tasks.bench.case import GOALS, WARM_STEPS, Case, config_of
from tasks.bench.stopwatch import Stopwatch, forget_peak, peak_bytes
from tasks.bench.subject import Subject
from tasks.config.params import load_params
from tasks.workers.local import KEEP_MEMORY

GIB = 1 << 30
CASES = {"all": "adapt, full", "auto": "adapt, k auto"}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--resolution", type=int, help="random weights of that many pixels (default: the project's)")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, default=5, help="measured steps (default 5, after 1 to warm up)")
    parser.add_argument("--k", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--plain", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.plain:
        print(json.dumps(measure_plain(Case(**args.plain))))
        return
    common = {"params": args.params, "steps": args.steps, "resolution": args.resolution, "batch_size": args.batch_size}
    print("| k | plain, s | first row, s | next row, s | first, times | next, times | plain, GiB | ours, GiB |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for k in args.k:
        case = Case(name=CASES[k], **common)
        for _ in range(args.repeats):
            plain, ours = in_process(case), run_case(case)
            first, later = ours.step_seconds, ours.next_step_seconds
            cells = [plain["seconds"], first, later, plain["seconds"] / first, plain["seconds"] / later]
            peaks = [plain["peak_bytes"] / GIB, (ours.peak_bytes or 0) / GIB]
            print(f"| {k} | {' | '.join(f'{cell:.3g}' for cell in [*cells, *peaks])} |", flush=True)


def in_process(case: Case) -> dict[str, Any]:
    """The plain row in a process of its own, in a worker's environment."""
    command = [sys.executable, __file__, "--plain", json.dumps(vars(case))]
    environment = {**KEEP_MEMORY, **os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure_plain(case: Case) -> dict[str, Any]:
    """Seconds of a step, and peak memory."""
    torch.set_num_threads(case.threads)
    params = load_params(Path(case.params))
    models = Subject(resolution=case.resolution, family=case.family).models(params, "cpu")
    _, config, _ = config_of(case, params.methods)
    source, guide, watch, seconds = models.source_generator, models.guide, Stopwatch("cpu"), []
    forget_peak("cpu")
    with patch.multiple(stylegan2, modulated_conv=grouped_modulated_conv, leaky_relu=plain_leaky_relu):
        before = watch.now()
        for _ in plain_steps(source, guide, config):
            seconds.append(watch.now() - before)
            before = watch.now()
    return {"seconds": statistics.median(seconds[WARM_STEPS:]), "peak_bytes": peak_bytes("cpu")}


def plain_steps(source: Network, guide: Guide, config: AdaptConfig) -> Iterator[Tensor]:
    """The algorithm of the paper."""
    goal, rng = GOALS[0], seeded_rng(0)
    target = copy.deepcopy(source).requires_grad_(True)
    emb_target_texts = [embed_whole_context(model, fill(goal.target)) for model in guide.models]
    emb_source_texts = [embed_whole_context(model, fill(goal.source)) for model in guide.models]
    text_dirs = [
        F.normalize((emb_target - emb_source).mean(dim=0), dim=0)
        for emb_target, emb_source in zip(emb_target_texts, emb_source_texts, strict=True)
    ]
    emb_text = [embed_whole_context(model, [goal.target])[0] for model in guide.models]
    optimizer = torch.optim.Adam(target.parameters(), lr=config.learning_rate, betas=(0.0, config.beta2))
    for _ in range(config.iterations):
        if config.selection.k != "all":
            target.requires_grad_(True)
            choose(target, guide, emb_text, config, rng)
        ws = draw_ws(config.batch_size, source, rng, config.style_mixing)
        with torch.no_grad():
            emb_source = embed(guide, source.synthesis(ws, source.draw_noise(len(ws), rng)), rng)
        emb_target = embed(guide, target.synthesis(ws, target.draw_noise(len(ws), rng)), rng)
        loss = guide.weigh(map(directional_loss, emb_source, emb_target, text_dirs))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield loss


def choose(target: Network, guide: Guide, emb_text: list[Tensor], config: AdaptConfig, rng: torch.Generator) -> None:
    """Let the layers learn whose w moves most."""
    count = config.selection.batch_size
    w_plus = draw_ws(count, target, rng).requires_grad_(True)
    emb = embed(guide, target.synthesis(w_plus, target.draw_noise(count, rng)), rng)
    guide.weigh(map(global_loss, emb, emb_text)).backward()  # type: ignore[no-untyped-call]
    assert w_plus.grad is not None
    movement = w_plus.grad.abs().mean(dim=(0, 2))
    layers = eligible_layers(config.selection, target)
    layers.sort(key=lambda layer: -float(movement[layer.ws_index]))
    target.requires_grad_(False)
    for layer in layers[: num_selected(config.selection, target)]:
        for weight in layer.weights:
            weight.requires_grad_(True)


def embed(guide: Guide, img: Tensor, rng: torch.Generator) -> list[Tensor]:
    """Fresh views of images."""
    return guide.embed_images(img, guide.draw_augmentations(len(img), img.shape[-1], rng))


@torch.no_grad()
def embed_whole_context(model: Any, texts: list[str]) -> Tensor:
    """Texts padded to the model's context, as open_clip encodes them by itself."""
    emb: Tensor = model._model.encode_text(model._tokenizer(texts), normalize=True)
    return emb


def plain_leaky_relu(x: Tensor, clamp: float | None = None) -> Tensor:
    """As autograd differentiates it."""
    x = F.leaky_relu(x, LRELU_SLOPE) * LRELU_GAIN
    return x if clamp is None else x.clamp(-clamp, clamp)


def grouped_modulated_conv(
    x: Tensor, weight: Tensor, styles: Tensor, kernel: Tensor | None, demodulate: bool
) -> Tensor:
    """The modulated convolution with the styles multiplied into the weights of each sample."""
    count, channels, height, width = x.shape
    w = weight * styles[:, None, :, None, None]  # [N, O, I, K, K]
    if demodulate:
        w = w * (w.square().sum(dim=(2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    out_channels = weight.shape[0]
    x = x.reshape(1, count * channels, height, width)
    if kernel is None:
        x = F.conv2d(x, w.flatten(0, 1), padding=weight.shape[-1] // 2, groups=count)
        return x.reshape(count, out_channels, height, width)
    x = F.conv_transpose2d(x, w.transpose(1, 2).flatten(0, 1), stride=2, groups=count)
    return blur(x.reshape(count, out_channels, *x.shape[2:]), kernel, padding=(1, 1), gain=4.0)


if __name__ == "__main__":
    main()
