"""Seconds and memory of a generator's forward and backward pass by family, at 256 px and published widths.

    python benchmarks/families.py             # one thread, one picture, random weights

Each family runs in a process of its own, so that peaks do not mix. Seconds are those of the processor, the least of
three runs.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch

from nada.generators.mobilestylegan.network import MobileStyleGANConfig
from nada.generators.registry import Architecture, make_network
from nada.generators.stylegan2 import StyleGAN2Config
from nada.generators.stylegan3 import StyleGAN3Config

ARCHITECTURES: dict[str, Architecture] = {
    "StyleGAN2": StyleGAN2Config(resolution=256, channel_base=16384),
    "StyleGAN3-T": StyleGAN3Config(resolution=256, channel_base=16384),
    "StyleGAN3-R": StyleGAN3Config(
        resolution=256, channel_base=32768, channel_max=1024, conv_kernel=1, use_radial_filters=True
    ),
    "MobileStyleGAN": MobileStyleGANConfig(resolution=256),
}


def main() -> None:
    """Measure each family in a process of its own, or the one that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", nargs="?", choices=ARCHITECTURES, help="measure this one alone")
    args = parser.parse_args()
    if args.family:
        measure(args.family)
        return
    print(f"python {platform.python_version()}, torch {torch.__version__}, one thread of {platform.machine()}")
    print("                M parameters  forward s  and backward s  peak MiB: forward  and backward", flush=True)
    for family in ARCHITECTURES:
        subprocess.run([sys.executable, __file__, family], check=True)


def measure(family: str) -> None:
    """Print one line."""
    torch.set_num_threads(1)
    generator = make_network(ARCHITECTURES[family]).requires_grad_(False)
    for layer in generator.conv_layers():
        for weight in layer.weights:
            weight.requires_grad_(True)
    ws = generator.mapping(torch.randn(1, generator.z_dim))

    def forward() -> None:
        with torch.no_grad():
            generator.synthesis(ws)

    def both() -> None:
        generator.zero_grad(set_to_none=True)
        generator.synthesis(ws).square().mean().backward()

    weights = sum(parameter.numel() for parameter in generator.parameters()) / 1e6
    before = peak_mib()
    seconds, peaks = [], []
    for work in (forward, both):
        seconds.append(min(cpu_seconds(work) for _ in range(3)))
        peaks.append(peak_mib() - before)
    print(
        f"{family:<16}{weights:12.1f}{seconds[0]:11.2f}{seconds[1]:16.2f}{peaks[0]:19.0f}{peaks[1]:14.0f}", flush=True
    )


def cpu_seconds(work: Callable[[], None]) -> float:
    """Seconds of the processor that some work takes."""
    start = time.process_time()
    work()
    return time.process_time() - start


def peak_mib() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
