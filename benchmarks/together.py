"""What light rows cost that learn in one batch, beside the same ones after each other, and beside one of all weights.

    python benchmarks/together.py                     # the bundled world, a batch as in params.yaml
    python benchmarks/together.py --steps 8 --rows 2 4 8 --rounds 3

Seconds of the processor on one thread, of one step of all rows; in every round each way is measured once, in turns, so
that the ratios are of the same minutes. What the source shows is known, as to every row of a worker but its first,
except where it says `unknown`. One process: memory is not measured.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from nada.checkpoints import read_any
from nada.clip.goal import PromptPair
from nada.clip.guide import Guide
from nada.clip.loading import load_guide
from nada.generators.registry import Network
from nada.methods.adapt.config import AdaptConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.objective.source_embeddings import SourceEmbeddings
from nada.methods.adapt.parametrisation import begin_target
from nada.methods.adapt.together.ride import Ride
from nada.micro_batch import MicroBatch
from tasks.config.params import load_params

SOURCE = "cartoon portrait"
TARGETS = ("pencil sketch", "neon lights", "red portrait", "sepia portrait", "robot", "watercolour", "zombie", "anime")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[2, 4, 8], help="that ride together (default 2 4 8)")
    parser.add_argument("--steps", type=int, default=6, help="of each way in a round (default 6)")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--parameters", default="modulation", choices=("modulation", "style-offset"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)  # as a worker does
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    print(f"python {platform.python_version()}, torch {torch.__version__}, one thread of {platform.machine()}\n")
    bench = Bench(args.parameters, args.steps)
    ways: dict[str, Callable[[], float]] = {
        "one, all weights, source unknown": lambda: bench.alone("full", 1, is_known=False),
        "one, all weights": lambda: bench.alone("full", 1),
        "one, light": lambda: bench.alone(args.parameters, 1),
    }
    for count in args.rows:
        ways[f"{count} after each other"] = lambda count=count: bench.alone(args.parameters, count)  # type: ignore[misc]
        ways[f"{count} together"] = lambda count=count: bench.together(count)  # type: ignore[misc]
    rounds = [{name: way() for name, way in ways.items()} for _ in range(args.rounds)]
    print("| a step of | s | of one with all weights, source unknown | source known |")
    print("|---|---:|---:|---:|")
    for name in ways:
        figures = [statistics.median(found[name] / found[other] for found in rounds) for other in list(ways)[:2]]
        seconds = statistics.median(found[name] for found in rounds)
        print(f"| {name} | {seconds:.3f} | {figures[0]:.2f} | {figures[1]:.2f} |")
    for count in args.rows:
        gain = [found[f"{count} after each other"] / found[f"{count} together"] for found in rounds]
        print(f"{count}: together {statistics.median(gain):.2f} times as fast ({min(gain):.2f} to {max(gain):.2f})")


class Bench:
    """Generator, guide, and what the guide saw of the generator."""

    def __init__(self, parameters: str, steps: int) -> None:
        params = load_params()
        self.parameters, self.steps, self.section = parameters, steps, params.methods["adapt"]
        self.guide: Guide = load_guide(params.guide, "cpu")
        self.source: Network = read_any(Path(params.generator.weights))
        self.known = SourceEmbeddings()
        self.alone("full", 1)  # fills it, and warms up

    def rows(self, parameters: str, count: int, is_known: bool = True) -> Iterator[Adaptation]:
        """Before their first step, one after the other."""
        options = {**self.section.model_dump(), "parameters": parameters, "stop": "fixed", "iterations": self.steps + 1}
        config = AdaptConfig.model_validate(options)
        known = self.known if is_known else SourceEmbeddings()
        for target in TARGETS[:count]:
            pair = PromptPair(SOURCE, target)
            yield Adaptation(self.source, begin_target(self.source, config), self.guide, pair, config, 0, known=known)

    def alone(self, parameters: str, count: int, is_known: bool = True) -> float:
        """Seconds of a step of so many rows, each on its own: the sum of their medians."""
        return sum(median(iter(row).__next__, self.steps) for row in self.rows(parameters, count, is_known))

    def together(self, count: int) -> float:
        """The same of rows in one batch."""
        riders = dict(enumerate(self.rows(self.parameters, count)))
        each = next(iter(riders.values())).config.batch_size
        ride = Ride(riders, [self.steps + 1] * count, MicroBatch(each * count))
        return median(ride.step, self.steps)


def median(step: Callable[[], object], count: int) -> float:
    """Seconds of the processor of one of some steps, the first of which warms up."""
    seconds = []
    for _ in range(count + 1):
        started = time.process_time()
        step()
        seconds.append(time.process_time() - started)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    main()
