"""Seconds and peak memory of adaptation steps at the sizes that people use, each case in a process of its own.

    python benchmarks/real_size.py                         # 256 and 1024 px, batch 2
    python benchmarks/real_size.py --resolution 256 --steps 5

The generators are StyleGAN2 config-f and the guide is a ViT-B/32, all of random weights: time and memory do not
depend on what the weights are. Seconds are of the processor, the least of the measured steps: on one thread they are
what a step takes on an idle core, however busy the machine. Peaks are the resident memory that Linux reports (VmHWM)
while steps run, models included. The processes are given the environment of a night's workers.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from nada.checkpoints import load_generator, save_generator
from nada.clip.goal import PromptPair
from nada.clip.loading import load_guide
from nada.clip.open_clip_import import open_clip
from nada.config import GuideClipConfig, GuideConfig
from nada.generators.stylegan2 import StyleGAN2, StyleGAN2Config
from nada.latents import seeded_rng
from nada.methods.adapt.config import AdaptConfig, SelectionConfig
from nada.methods.adapt.loop import Adaptation
from nada.methods.adapt.step_inputs import draw_step_inputs
from nada.micro_batch import MicroBatch
from tasks.workers.local import KEEP_MEMORY

CLIP = "ViT-B-32"
CHANNEL_BASES = {256: 16384, 1024: 32768}  # of NVIDIA's paper256 and of config-f
PAIR = PromptPair("photo", "pencil sketch")
BATCH = 2
PHASES = ("selection", "source", "target", "embed", "backward", "update")
GIB = 1 << 30


def main() -> None:
    """Make the weights once, then run each case in a process of its own and print its line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, nargs="+", choices=CHANNEL_BASES, default=list(CHANNEL_BASES))
    parser.add_argument("--steps", type=int, default=3, help="measured steps (default 3, after 1 to warm up)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--weights", type=Path, help="folder that keeps the random weights (default: a temporary one)")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.case:
        print(json.dumps(run_case(args.weights, **args.case)))
        return
    print(f"python {platform.python_version()}, torch {torch.__version__}, {args.threads} thread(s), batch {BATCH}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.weights or Path(temporary)
        make_weights(folder, args.resolution)
        for resolution in args.resolution:
            heads = "".join(f"{head:>11}" for head in (*PHASES, "a step"))
            print(f"\n{f'{resolution} px, s and GiB':<28}{heads}  models    peak")
            for k, micro_batch in itertools.product(("all", "auto"), (None, 2, 1)):
                if k == "all" and micro_batch is None:
                    continue  # the same as 2
                case = {"resolution": resolution, "k": k, "micro_batch": micro_batch}
                report(case, in_process(folder, {**case, "steps": args.steps, "threads": args.threads}))
            case = {"resolution": resolution, "threads": args.threads, "compare": True}
            print("  " + "; ".join(f"{name} {value:.1e}" for name, value in in_process(folder, case).items()))


def make_weights(folder: Path, resolutions: list[int]) -> None:
    """Random generators and a random CLIP, as files that load as a user's would."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    if not clip_path(folder).exists():
        save_file(open_clip.create_model(CLIP).state_dict(), clip_path(folder))
    for resolution in resolutions:
        if not generator_path(folder, resolution).exists():
            config = StyleGAN2Config(resolution=resolution, channel_base=CHANNEL_BASES[resolution])
            generator = StyleGAN2(config)
            for name, strength in generator.named_parameters():
                if name.endswith("noise_strength"):
                    strength.data.fill_(0.1)
            save_generator(generator_path(folder, resolution), generator)


def in_process(folder: Path, case: dict[str, Any]) -> dict[str, Any]:
    """What a case measured, in a fresh process that has a worker's environment."""
    command = [sys.executable, __file__, "--weights", str(folder), "--case", json.dumps(case)]
    environment = {**KEEP_MEMORY, **os.environ, "OMP_NUM_THREADS": str(case["threads"])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run_case(folder: Path, resolution: int, threads: int, **case: Any) -> dict[str, Any]:
    """Load, then measure steps or compare the gradients of whole and split batches."""
    torch.set_num_threads(threads)
    source = load_generator(generator_path(folder, resolution))
    target = copy.deepcopy(source)
    guide = load_guide(GuideConfig(models=(GuideClipConfig(name=CLIP, weights=str(clip_path(folder))),)), "cpu")
    selection = SelectionConfig(k=case.get("k", "all"))
    config = AdaptConfig(batch_size=BATCH, selection=selection, iterations=case.get("steps", 1) + 1)
    adaptation = Adaptation(source, target, guide, PAIR, config, 0, case.get("micro_batch"))
    return differences(adaptation) if case.get("compare") else measure(adaptation)


def measure(adaptation: Adaptation) -> dict[str, Any]:
    """Seconds of a step by phase, and memory before and while steps run."""
    models_bytes = resident_bytes("VmRSS")
    watch = Stopwatch()
    watch.wrap(sys.modules["nada.methods.adapt.loop"], "select_layers", "selection")
    watch.wrap(adaptation.source.synthesis, "forward", "source")
    watch.wrap(adaptation.target.synthesis, "forward", "target")
    watch.wrap(adaptation.guide, "embed_images", "embed")
    watch.wrap(torch.Tensor, "backward", "backward")
    watch.wrap(adaptation.optimizer, "step", "update")
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    seconds: dict[str, list[float]] = defaultdict(list)
    started = time.process_time()
    for _ in adaptation:
        seconds["a step"].append(time.process_time() - started)
        for phase in PHASES:
            seconds[phase].append(watch.seconds.pop(phase, 0.0))
        started = time.process_time()
    least = {phase: min(values[1:] or values) for phase, values in seconds.items()}  # the first one warms up
    return {"seconds": least, "models_bytes": models_bytes, "peak_bytes": resident_bytes("VmHWM")}


def differences(adaptation: Adaptation) -> dict[str, float]:
    """How far loss and gradients of a split batch are from the whole one's, relative to their size."""
    adaptation.parameters.train_only(adaptation.target.conv_layers())
    inputs = draw_step_inputs(adaptation.config, adaptation.source, adaptation.guide, seeded_rng(0))
    losses, gradients = [], []
    for micro_batch in (BATCH, 1):
        terms = MicroBatch(micro_batch).backward("comparing", inputs, adaptation.losses, adaptation.optimizer)
        losses.append(float(terms["loss"]))
        grads = [weight.grad for weight in adaptation.parameters.learnable if weight.grad is not None]
        gradients.append(torch.cat([grad.flatten() for grad in grads]))
    whole, split = gradients
    return {
        "split against whole: loss differs by": abs(losses[1] - losses[0]) / losses[0],
        "gradient by": float((split - whole).norm() / whole.norm()),
    }


class Stopwatch:
    """Seconds by phase; what a phase calls counts as its own."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running = False

    def wrap(self, owner: Any, name: str, phase: str) -> None:
        """Book every call of a function of `owner` under a phase."""
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._running:
                return inner(*args, **kwargs)
            self._running, started = True, time.process_time()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds[phase] += time.process_time() - started
                self._running = False

        setattr(owner, name, timed)


def report(case: dict[str, Any], found: dict[str, Any]) -> None:
    """One line of the table."""
    name = f"k: {case['k']}, micro_batch: {case['micro_batch'] or 'auto'}"
    seconds = "".join(f"{found['seconds'][phase]:>11.2f}" for phase in (*PHASES, "a step"))
    memory = "".join(f"{found[name] / GIB:>8.2f}" for name in ("models_bytes", "peak_bytes"))
    print(f"{name:<28}{seconds}{memory}", flush=True)


def resident_bytes(field: str) -> int:
    """A line of /proc/self/status: VmRSS now, VmHWM at most since its last reset."""
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def clip_path(folder: Path) -> Path:
    """The random CLIP."""
    return folder / f"{CLIP}.safetensors"


def generator_path(folder: Path, resolution: int) -> Path:
    """A random generator."""
    return folder / f"generator-{resolution}.safetensors"


if __name__ == "__main__":
    main()
