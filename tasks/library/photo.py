"""A photo inverted: the latents from which a generator draws it, kept by content, and a picture of the error."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch

from nada.atomic import replacing
from nada.config import NONE
from nada.errors import CheckpointError, LatentsError
from nada.generators.domain import Domain
from nada.generators.families import FAMILIES
from nada.hashing import sha256_file
from nada.images import grid
from nada.inversion.config import InversionConfig
from nada.inversion.inversion import Inversion, InversionStep, Inverted
from nada.inversion.perceptual import ClipFeatures, LpipsFeatures, Perceptual
from nada.judge.samples import render
from nada.latent_files import LatentFile, read_latents, write_latents
from nada.methods.models import Clips
from nada.picture_files import Photo, read_photo
from tasks.config.model import Params
from tasks.config.params import load_params
from tasks.config.project import HERE
from tasks.keys.code import code_hash
from tasks.keys.inputs import hashed
from tasks.library.captions import Cell, captioned
from tasks.library.domains import SOURCE, find_making, made_from, open_domain
from tasks.library.sample import save_picture
from tasks.row.judge_networks import load_judge

COMPARE_NO_PAIR = ("inception", "efficientnet", "faces")  # of the judge's networks
CODE = (
    *("nada.inversion.inversion", "nada.inversion.perceptual", "nada.picture_files"),
    *(family.module for family in FAMILIES.values()),
)
EXPECTED = (
    "Generators of faces expect a photo that is cut as their training pictures were: square, one face that looks "
    "ahead, upright, its eyes level and a little above the middle, chin and hair inside. nada cuts the centre square "
    "and aligns nothing."
)


class PhotoInversion:
    """A photo, and the domain that is to draw it. Iterate over it, then save; one that was inverted before takes none.

    Args:
        path: the photo.
        params_path: params.yaml.
        config: how long, and how.
        on: a finished domain whose picture the photo is; the source's by default.
        device: where to compute.

    Raises:
        ImageError: the photo cannot be read.
        CheckpointError, ParamsError: see `tasks.library.domains.open_domain`.
    """

    def __init__(self, path: Path, params_path: Path, config: InversionConfig, on: str, device: str) -> None:
        self.path, self.config, self.on = path, config, on
        self.params = load_params(params_path)
        self.domain: Domain = open_domain(on, params_path, device)
        self.photo: Photo = read_photo(path, self.domain.resolution)
        self.generator = made_from(on, self.params)
        self.perceptual, self.why_not_lpips = load_perceptual(self.params, device)

    @property
    def notes(self) -> list[str]:
        """What was done to the photo that its owner may not want, a sentence each."""
        photo, side = self.photo, self.domain.resolution
        found = []
        if photo.width != photo.height:
            found.append(f"{self.path}: {photo.width} x {photo.height}, cut to the centre square. {EXPECTED}")
        if min(photo.width, photo.height) < side:
            found.append(f"{self.path}: smaller than the generator's {side} px, and enlarged")
        return found

    @cached_property
    def kept(self) -> Path:
        """Where the latents are kept: under what decides them."""
        key = {
            "photo": sha256_file(self.path),
            "generator": self.generator,
            "on": None if self.on == SOURCE else find_making(self.on).key,
            "loss": self.perceptual.name,
            "config": asdict(self.config),
            "code": code_hash(CODE),
        }
        return HERE.inversion_cache / f"{hashed(key)}.npz"

    @property
    def known(self) -> LatentFile | None:
        """What an earlier inversion of the same kept."""
        with suppress(LatentsError):
            return read_latents(self.kept)
        return None

    @property
    def cell(self) -> Cell:
        """The photo as the domain is to draw it, with its name."""
        return self.path.stem, grid(self.photo.img_u8, 1)

    @property
    def num_steps(self) -> int:
        """Steps that are left to do."""
        return 0 if self.known is not None else self.config.w_steps + self.config.plus_steps

    def __iter__(self) -> Iterator[InversionStep]:
        """Invert, and keep what was found.

        Raises:
            NonFiniteLossError: the distance is no number any more.
            OutputError: it cannot be kept.
        """
        if self.known is None:
            inversion = Inversion(self.domain, self.perceptual, self.photo.img_u8, self.config)
            yield from inversion
            self._keep(inversion.result())

    def _keep(self, found: Inverted) -> None:
        config = self.config
        about = {
            "generator": self.generator,
            "on": self.on,
            "loss": self.perceptual.name,
            "w_steps": config.w_steps,
            "w_plus_steps": config.plus_steps,
            "seed": config.seed,
            "distance": round(found.distance, 6),
            "levels": round(found.levels, 3),
            "photo_sha256": sha256_file(self.path),
            "photo": self.path.name,
        }
        write_latents(self.kept, found.ws.numpy(), about)

    def save(self, out: Path) -> LatentFile:
        """Write the latents, and beside them the photo and what the domain draws of them, as a picture.

        Raises:
            OutputError: a file cannot be written.
        """
        with replacing(out) as partial:
            shutil.copyfile(self.kept, partial)
        latents = read_latents(out)
        ws = torch.tensor(latents.ws(self.domain.num_ws, self.domain.w_dim, "the domain"))
        (img_u8,) = render(self.domain, ws.to(next(iter(self.domain.parameters())).device), 1)
        cells = [self.cell, (error_in_words(latents), grid(img_u8, 1))]
        save_picture(captioned(cells, 2), picture_beside(out))
        return latents


def picture_beside(out: Path) -> Path:
    """`me.npz` -> `me.png`."""
    return out.with_suffix(".png")


def error_in_words(latents: LatentFile) -> str:
    """How far the picture is off: `off by 3.1 of 255, distance 0.012`."""
    about = latents.about
    try:
        return f"off by {float(about['levels']):.1f} of 255, distance {float(about['distance']):.3g}"
    except (KeyError, TypeError, ValueError):
        return "inverted"


def load_perceptual(params: Params, device: str) -> tuple[Perceptual, str]:
    """LPIPS where its weights are, else the judge's CLIP; and in the latter case why, in a line.

    Raises:
        CheckpointError, GuideError: weights that params.yaml names cannot be used.
    """
    judge = params.judge.model_copy(update=dict.fromkeys(COMPARE_NO_PAIR, NONE))
    alone = params.model_copy(update={"judge": judge})
    clip = Clips(params.guide, params.judge, device).judge
    loaded = load_judge(alone, device, clip)
    if loaded.judge.lpips is not None:
        return LpipsFeatures(loaded.judge.lpips), ""
    if not (found := ClipFeatures(clip)).levels:
        raise CheckpointError(f"{clip.name}: an image tower of a kind that inversion cannot read; set judge.lpips: web")
    return found, loaded.absent["LPIPS"]
