"""Seconds per adaptation step by phase, and what each shortcut is worth, measured in one run on one thread.

    python benchmarks/step.py                 # the world that params.yaml names
    python benchmarks/step.py --steps 50      # steadier

Every figure is a median. Ratios compare both sides within this run, so they carry over between machines; the
seconds do not.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from nada.checkpoints import read_any
from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.loading import load_guide
from nada.clip.losses import directional_loss
from nada.clip.templates import fill
from nada.generators import stylegan2
from nada.generators.registry import Network
from nada.generators.stylegan2_ops import blur
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.layer_selection import select_layers
from nada.methods.adapt.parametrisation import FullWeights
from nada.micro_batch import MicroBatch
from tasks.config.params import load_params

T = TypeVar("T")
PAIR = PromptPair("cartoon portrait", "pencil sketch")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--steps", type=int, default=20, help="measured steps (default 20, after 3 to warm up)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    params = load_params(args.params)
    source = read_any(Path(params.generator.weights))
    guide = load_guide(params.guide, "cpu")
    adapt = params.methods["adapt"]
    assert isinstance(adapt, AdaptConfig)
    print(f"python {platform.python_version()}, torch {torch.__version__}, one thread of {platform.machine()}")
    weights = sum(parameter.numel() for parameter in source.parameters()) / 1e6
    names = ", ".join(model.name for model in guide.models)
    print(f"{source.resolution} px generator of {weights:.2f} M parameters, {names}, batch {adapt.batch_size}\n")

    target = copy.deepcopy(source)
    text_dirs = guide.text_directions(PAIR)
    emb_text = guide.text_embeddings(PAIR.target)
    parameters = FullWeights(target, adapt)
    parameters.train_only(target.conv_layers())
    optimizer = torch.optim.Adam(parameters.learnable, lr=adapt.learning_rate, betas=(0.0, adapt.beta2))
    rng = seeded_rng(0)
    timings: dict[str, list[float]] = defaultdict(list)

    def timed(phase: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        result = work()
        timings[phase].append(time.perf_counter() - start)
        return result

    for step in range(args.steps + 3):
        if step == 3:
            timings.clear()
        ws = timed("draw latents", lambda: draw_ws(adapt.batch_size, source, rng, adapt.style_mixing))
        with torch.no_grad():
            img_source = timed("render source", partial(source.synthesis, ws, source.draw_noise(len(ws), rng)))
            emb_source = timed("embed source", partial(embed, guide, img_source, rng))
        img_target = timed("render target", partial(target.synthesis, ws, target.draw_noise(len(ws), rng)))
        emb_target = timed("embed target", partial(embed, guide, img_target, rng))
        loss = guide.weigh(map(directional_loss, emb_source, emb_target, text_dirs))
        timed("backward", loss.backward)
        timed("update weights", optimizer.step)
        optimizer.zero_grad(set_to_none=True)
    report(timings)

    selection = SelectionConfig(k="auto")
    ratios(
        {
            "layer selection (k = auto), a step": median(
                lambda: select_layers(target, guide, emb_text, selection, rng, MicroBatch(8))
            ),
            "79 templates, cut to the longest": median(lambda: guide.models[0].embed_texts(fill(PAIR.target)), 5),
            "79 templates, whole context": median(lambda: embed_whole_context(guide.models[0], fill(PAIR.target)), 5),
            "forward and backward, scaled activations": median(lambda: forward_backward(target, rng)),
            "forward and backward, grouped convolutions": grouped(lambda: forward_backward(target, rng)),
        }
    )


def report(timings: dict[str, list[float]]) -> None:
    """The phases of a step, with their shares."""
    medians = {phase: statistics.median(seconds) for phase, seconds in timings.items()}
    total = sum(medians.values())
    for phase, seconds in medians.items():
        print(f"  {phase:<42} {1000 * seconds:8.1f} ms  {seconds / total:5.0%}")
    print(f"  {'a step, all layers':<42} {1000 * total:8.1f} ms\n")


def ratios(seconds: dict[str, float]) -> None:
    """The alternatives, and what each shortcut is worth."""
    for name, value in seconds.items():
        print(f"  {name:<42} {1000 * value:8.1f} ms")
    _, cut, whole, scaled, grouped_seconds = seconds.values()
    print(f"\n  cutting texts to the longest: {whole / cut:.1f} x faster")
    print(f"  scaling activations instead of grouping convolutions: {grouped_seconds / scaled:.2f} x faster")


def median(work: Callable[[], object], repeats: int = 10) -> float:
    """Median seconds of some work, after one run to warm up."""
    work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def embed_whole_context(model: object, texts: list[str]) -> Tensor:
    """Texts padded to the model's context, as open_clip encodes them by itself."""
    with torch.no_grad():
        emb: Tensor = model._model.encode_text(model._tokenizer(texts), normalize=True)  # type: ignore[attr-defined]
    return emb


def embed(guide: Guide, img: Tensor, rng: torch.Generator) -> list[Tensor]:
    """Embed fresh views of images."""
    return guide.embed_images(img, guide.draw_augmentations(len(img), img.shape[-1], rng))


def forward_backward(generator: Network, rng: torch.Generator) -> None:
    """Render four pictures and take their gradient."""
    ws = draw_ws(4, generator, rng)
    generator.synthesis(ws, generator.draw_noise(4, rng)).square().mean().backward()


def grouped(work: Callable[[], object]) -> float:
    """Median seconds with one kernel per sample and a grouped convolution, as the reference computes."""
    with patch.object(stylegan2, "modulated_conv", grouped_modulated_conv):
        return median(work)


def grouped_modulated_conv(
    x: Tensor, weight: Tensor, styles: Tensor, kernel: Tensor | None, demodulate: bool
) -> Tensor:
    """The same convolution with the styles multiplied into the weights of each sample."""
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
