"""Write the true pictures of each domain that a filter defines, paired with a generator's pictures by their latents.

    python make_references.py GENERATOR --out ../references                              # every domain, 64 pictures
    python make_references.py GENERATOR --out ../references --num 400 --domains sepia,neon
    python make_references.py GENERATOR --out ../truth --num 24 --latents judge          # for `true_images`

One zip of PNG files a domain: the picture of one name is of one latent in all of them. The latents are a seed's, not
the judge's, unless `--latents judge`: references that are the very truth of the judged pictures make distances of sets
too small. The same input gives the same bytes, and a zip that is there stays.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from domains import DOMAINS, true_pictures
from PIL import Image
from torch import Tensor

from nada.atomic import replacing
from nada.checkpoints import read_any
from nada.generators.domain import Domain
from nada.judge.samples import JUDGE_SEED, fixed_latents, render

NUM_REFERENCES = 64
REFERENCE_SEED = 20_261_126
BATCH = 16
FIXED_DATE = (1980, 1, 1, 0, 0, 0)


def write_references(source: Domain, ws: Tensor, styles: Sequence[tuple[str, str]], out: Path) -> list[Path]:
    """One zip for each (slug, style): every picture rendered once.

    Args:
        source: the generator.
        ws: [N, L, W_DIM]; picture i of every zip is of ws i.
        styles: names of the files, and of their filters.
        out: the folder.
    """
    img_u8 = torch.cat(list(render(source, ws, BATCH)))
    paths = [out / f"{slug}.zip" for slug, _ in styles]
    for path, (_, style) in zip(paths, styles, strict=True):
        with replacing(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for index, one in enumerate(img_u8.split(1)):
                name = zipfile.ZipInfo(f"{index:03d}.png", FIXED_DATE)
                archive.writestr(name, _png(true_pictures(style, one)[0]))
    return paths


def _png(img_u8: Tensor) -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(img_u8.permute(1, 2, 0).numpy()).save(encoded, "PNG", compress_level=1)
    return encoded.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("generator", type=Path, help="any that nada reads")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--num", type=int, default=NUM_REFERENCES)
    parser.add_argument("--psi", type=float, default=0.7)
    parser.add_argument("--latents", choices=("own", "judge"), default="own")
    parser.add_argument("--domains", default="", help="separated by commas (default: all)")
    args = parser.parse_args()
    asked = args.domains.split(",") if args.domains else [domain.slug for domain in DOMAINS]
    styles = [(domain.slug, domain.style) for domain in DOMAINS if domain.slug in asked]
    if unknown := set(asked) - {slug for slug, _ in styles}:
        parser.error(f"no filter defines {', '.join(sorted(unknown))}")
    if not (styles := [(slug, style) for slug, style in styles if not (args.out / f"{slug}.zip").exists()]):
        return
    torch.set_num_threads(1)  # small filters: more of them wait for each other, and longest on a busy machine
    source = read_any(args.generator)
    seed = JUDGE_SEED if args.latents == "judge" else REFERENCE_SEED
    for path in write_references(source, fixed_latents(source, args.num, args.psi, seed), styles, args.out):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
