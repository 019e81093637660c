"""What kilobyte domains weigh, how quickly they open, and what a step of theirs costs beside one of all weights.

    python benchmarks/light.py                        # 1,000 domains of 1024 px generators, random numbers
    python benchmarks/light.py --steps 5 --px 256     # and steps: one thread, one run
    python benchmarks/light.py --rows weights/adapted # and what lies beside the parameters of finished rows

The generators have random weights, and the rows random numbers, which are written as they are: nothing is deflated.
Bytes carry over between machines, and so do ratios of seconds; seconds do not.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from nada.checkpoints import load_light, read_any, save_generator, save_light
from nada.checkpoints.base_model import Parent
from nada.clip.goal import PromptPair
from nada.clip.loading import load_guide
from nada.generators.light.generator import LightGenerator
from nada.generators.light.moves import NEUTRAL, Kind, StyleMoves
from nada.generators.mobilestylegan.network import MobileStyleGAN, MobileStyleGANConfig
from nada.generators.registry import Network
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.images import levels_apart, to_u8
from nada.latents import draw_ws, seeded_rng
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.parametrisation import begin_target, sparse
from tasks.config.params import load_params

PAIR = PromptPair("cartoon portrait", "pencil sketch")
SIZE = 0.1  # standard deviation of random moves
KINDS: dict[str, tuple[Kind, bool, float]] = {
    "modulation": ("multiplier", False, 0.0),
    "style-offset": ("offset", False, 0.0),
    "style-offset, convs+rgb": ("offset", True, 0.0),
    "style-offset, sparsity 0.8": ("offset", False, 0.8),
}
"""What is written: a name -> kind, whether toRGB moves as well, sparsity."""
OPENED = 100  # domains whose opening is timed
EMBEDDINGS = "embeddings.safetensors"
PICTURES = (".webp", ".png")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--domains", type=int, default=1000, help="written of each kind (default 1,000)")
    parser.add_argument("--steps", type=int, default=0, help="measured steps of each parametrisation (default none)")
    parser.add_argument("--px", type=int, default=256, choices=(64, 256, 1024), help="of the steps' generator")
    parser.add_argument("--batch", type=int, default=2, help="of the steps (default 2)")
    parser.add_argument("--rows", type=Path, help="a folder of finished rows, whose files are weighed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"python {platform.python_version()}, torch {torch.__version__}, one thread of {platform.machine()}\n")
    if args.domains:
        storage(args.domains)
    if args.steps:
        steps(args.px, args.steps, args.batch)
    if args.rows:
        rows(args.rows)


def storage(count: int) -> None:
    """A line a family and kind: bytes of all domains, milliseconds to open one, levels lost by folding."""
    print(f"| 1024 px | parameters | numbers | {count:,} domains, MB | open one, ms | folded: levels, of 255 |")
    print("|---|---|---:|---:|---:|---:|")
    torch.manual_seed(0)
    families: dict[str, Callable[[], Network]] = {
        "StyleGAN2": lambda: StyleGAN2(StyleGAN2Config(resolution=1024)),
        "MobileStyleGAN": lambda: MobileStyleGAN(MobileStyleGANConfig(resolution=1024)),
    }
    for family, make in families.items():
        base = make().eval().requires_grad_(False)
        with tempfile.TemporaryDirectory() as name:
            base_path = Path(name) / "base.safetensors"
            save_generator(base_path, base)
            parent = Parent.of(base_path, "base")
            for kind, (of, with_rgb, sparsity) in KINDS.items():
                folder = Path(name) / kind
                rng = seeded_rng(0)
                for index in range(count):
                    moves = random_moves(base, of, with_rgb, sparsity, rng)
                    save_light(folder / f"{index}.safetensors", LightGenerator(base, moves), parent)
                total = sum(path.stat().st_size for path in folder.iterdir())
                paths = sorted(folder.iterdir())[:OPENED]
                opening = statistics.median(seconds(partial(load_light, path, base, parent.sha256)) for path in paths)
                numbers = sum(int((value != NEUTRAL[of]).sum()) for value in moves.of(of).values())
                lost = folding_error(load_light(paths[0], base, parent.sha256))
                print(
                    f"| {family} | {kind} | {numbers:,} | {total / 1e6:.1f} | {1000 * opening:.2f} | {lost} |",
                    flush=True,
                )
    print()


def random_moves(base: Network, kind: Kind, with_rgb: bool, sparsity: float, rng: torch.Generator) -> StyleMoves:
    """As training could leave them."""
    layers = [layer for layer in base.style_layers() if with_rgb or not layer.is_rgb]
    values = {one.name: NEUTRAL[kind] + SIZE * torch.randn(one.num_channels, generator=rng) for one in layers}
    return StyleMoves().with_(kind, sparse(values, NEUTRAL[kind], sparsity))


@torch.no_grad()
def folding_error(light: LightGenerator) -> int:
    """Largest difference of one picture by weights that the moves were folded into."""
    ws = draw_ws(1, light, seeded_rng(1))
    pictures = [generator.synthesis(ws, "const") for generator in (light, light.folded())]
    scale = pictures[0].std() * 2  # random weights do not draw within [-1, 1]
    return int(levels_apart(*(to_u8(img / scale) for img in pictures))[0])


def steps(px: int, count: int, batch: int) -> None:
    """A line a parametrisation: seconds of a step, and memory that it takes beside what is loaded anyway."""
    print(f"| {px} px, batch {batch} | processor s a step | of full | peak, MB | of full | written, kB |")
    print("|---|---:|---:|---:|---:|---:|")
    first: tuple[float, float] | None = None
    for parameters in ("full", "modulation", "style-offset"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:  # a process each: memory is measured at its highest
            second, peak, learned = pool.apply(step_cost, (parameters, px, count, batch))
        first = first or (second, peak)
        shares = f"{second / first[0]:.0%} | {peak / 1e6:.0f} | {peak / first[1]:.0%}"
        print(f"| {parameters} | {second:.2f} | {shares} | {4 * learned / 1e3:,.0f} |", flush=True)
    print()


def step_cost(parameters: str, px: int, count: int, batch: int) -> tuple[float, float, int]:
    """Median processor seconds of a step, bytes above what was there before the target, and how many numbers learn."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    base = 16384 if px == 256 else 32768
    params = load_params()
    guide = load_guide(params.guide, "cpu")
    if px == 64:
        source: Network = read_any(Path(params.generator.weights))
    else:
        source = StyleGAN2(StyleGAN2Config(resolution=px, channel_base=base)).eval().requires_grad_(False)
    config = AdaptConfig.model_validate({"parameters": parameters, "iterations": count + 2, "batch_size": batch})
    before = peak_bytes()
    adaptation = Adaptation(source, begin_target(source, config), guide, PAIR, config, seed=0)
    times = [time.process_time()]  # of the processor: others may use the machine
    for _ in adaptation:
        times.append(time.process_time())
    measured = [after - start for start, after in pairwise(times[2:])]  # the first two warm up
    learned = sum(weight.numel() for weight in adaptation.parameters.learnable)
    return statistics.median(measured), peak_bytes() - before, learned


def rows(folder: Path) -> None:
    """A line a finished row: what it weighs, by what it is."""
    print("| row | parameters, kB | record | pictures | embeddings | beside the parameters, kB |")
    print("|---|---:|---:|---:|---:|---:|")
    for row in sorted(path.parent for path in folder.glob("*/row.json")):
        sizes = {path: path.stat().st_size / 1e3 for path in row.iterdir()}
        embeddings = sizes.pop(row / EMBEDDINGS, 0.0)
        pictures = sum(size for path, size in sizes.items() if path.suffix in PICTURES)
        parameters = sum(size for path, size in sizes.items() if path.suffix in (".safetensors", ".npz"))
        beside = sum(sizes.values()) - parameters + embeddings
        figures = (parameters, beside - pictures - embeddings, pictures, embeddings, beside)
        print(f"| {row.name} | " + " | ".join(f"{figure:.1f}" for figure in figures) + " |")


def peak_bytes() -> float:
    """The most memory that this process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def seconds(work: Callable[[], object]) -> float:
    """Of some work."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
