"""Latents, such as an inverted photo's, drawn in every finished domain: one picture with captions, and one each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from nada.errors import CheckpointError, LatentsError, NadaError, OutputError
from nada.images import grid, save_png
from nada.judge.samples import render
from nada.latent_files import LatentFile
from tasks.config.params import load_params
from tasks.library.captions import Cell, captioned
from tasks.library.domains import SOURCE, finished_domains, made_from, open_domain
from tasks.library.latents import CHUNK
from tasks.library.photo import picture_beside
from tasks.library.sample import labelled, save_picture

MOST_LATENTS = 16  # side by side in the one picture; each is drawn into the folder


def sheet_of(folder: Path) -> Path:
    """The picture beside a folder of single ones."""
    named = folder if folder.name not in ("", "..") else folder.resolve()
    return named.with_name(f"{named.name}.png")


def check_spares(what: Path, folder: Path) -> None:
    """Refuse to write over what is drawn, or over the picture that stands beside its latents.

    Raises:
        OutputError: names the folder.
    """
    given = what.resolve()
    if sheet_of(folder).resolve() in (given, picture_beside(given)) or given.parent == folder.resolve():
        raise OutputError(f"--out: {folder}: {what}, or its own picture, would be written over; choose another")


def check_names(names: Sequence[str], generator: str | None, what: Path, params_path: Path) -> None:
    """Refuse domains that cannot draw latents, or a photo before it is inverted.

    Args:
        names: domains; all finished ones where there are none.
        generator: sha256 of the one that the latents belong to, where that is known.
        what: the latents or the photo, for messages.
        params_path: params.yaml.

    Raises:
        LatentsError: a domain is of another generator; names both.
        CheckpointError: there is no such domain, or none at all.
    """
    if not names and not finished_domains():
        raise CheckpointError("no domain is finished; nada run makes them")
    for name in names:
        if generator not in (None, made_from(name, load_params(params_path))):
            where = f"found in another generator than {name}'s"
            raise LatentsError(f"{what}: {where}; invert the photo anew with that one")


@dataclass
class Application:
    """Latents drawn in domain after domain.

    Iterate over it: it yields each domain's name once its pictures are in the folder.

    Args:
        latents: of a file.
        params_path: params.yaml.
        names: domains; all finished ones where there are none, and then those that cannot draw the latents are left
            out and told of.
        folder: gets one picture a domain and latent; the one with captions lies beside it.
        device: where to render.
        first: shown ahead of the domains, such as the photo.

    Raises, while iterated over:
        InputError: a domain that was named is unknown, damaged, or of another generator; or there is none.
        OutputError: a picture cannot be written.
    """

    latents: LatentFile
    params_path: Path
    names: Sequence[str]
    folder: Path
    device: str
    first: Sequence[Cell] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    """Domain -> why it draws nothing of these latents."""
    _side: int = 0
    """Pixels of what was drawn first."""

    @property
    def shown(self) -> list[str]:
        """The source, and the domains."""
        return [SOURCE, *(name for name in self.names or finished_domains() if name != SOURCE)]

    @property
    def sheet(self) -> Path:
        """The one picture."""
        return sheet_of(self.folder)

    def __iter__(self) -> Iterator[str]:
        check_names(self.names, self.latents.generator, self.latents.path, self.params_path)
        pictures: dict[str, Tensor] = {}
        for name in self.shown:
            try:
                img_u8 = self._draw(name)
            except NadaError as err:
                if name in self.names:
                    raise
                self.left_out[name] = str(err)
                continue
            for index, one in enumerate(img_u8):
                number = f"-{index:03d}" if len(img_u8) > 1 else ""
                save_png(grid(one[None], 1), self.folder / f"{name}{number}.png")
            pictures[name] = img_u8[:MOST_LATENTS]
            yield name
        if not set(pictures) - {SOURCE}:
            raise LatentsError(next((f"{name}: {why}" for name, why in self.left_out.items()), "nothing to draw"))
        save_picture(self._sheet(pictures), self.sheet)

    def _draw(self, name: str) -> Tensor:
        """[N, 3, R, R] bytes."""
        check_names([name], self.latents.generator, self.latents.path, self.params_path)
        domain = open_domain(name, self.params_path, self.device)
        if (side := domain.resolution) != self._side:
            if self._side:
                raise LatentsError(f"{name}: draws {side} px, and {SOURCE} {self._side}")
            self._side = side
        device = next(iter(domain.parameters())).device
        ws = self.latents.ws(domain.num_ws, domain.w_dim, name)
        chunks = [torch.tensor(ws[start : start + CHUNK]).to(device) for start in range(0, len(ws), CHUNK)]
        return torch.cat([img_u8 for chunk in chunks for img_u8 in render(domain, chunk, CHUNK)])

    def _sheet(self, pictures: dict[str, Tensor]) -> Image.Image:
        """A cell a domain for one latent; for more a row a domain."""
        if all(len(img_u8) == 1 for img_u8 in pictures.values()):
            cells = [*self.first, *((name, grid(img_u8, 1)) for name, img_u8 in pictures.items())]
            return captioned(cells, math.ceil(math.sqrt(len(cells))))
        return labelled(list(pictures), [grid(img_u8, MOST_LATENTS) for img_u8 in pictures.values()])
