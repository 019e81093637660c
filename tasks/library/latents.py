"""Which latents the commands draw: those of a seed or of a file, truncated, some of their layers from another seed.

Legend: N latents, L style layers, Z and W_DIM latent widths, K latents that a walk passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from nada.errors import LatentsError, ParamsError
from nada.generators.domain import Domain
from nada.latent_files import LatentFile, read_latents
from nada.latents import draw_z, seeded_rng
from tasks.config.model import Params
from tasks.library.domains import made_from

CHUNK = 16  # latents are drawn in chunks of this size, so that a larger count begins with the same pictures
SEED_PSI, FILE_PSI = 0.7, 1.0
LAYERS = re.compile(r"\d{1,3}(-\d{1,3})?(,\d{1,3}(-\d{1,3})?)*")


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Latents to be drawn."""

    count: int = 16
    """Of a seed; of a file all are drawn."""
    seed: int = 0
    psi: float | None = None
    """Truncation; None: 0.7 of seeds, and 1 of files, which are then drawn as they are."""
    path: Path | None = None
    """A file of latents, in place of a seed's."""
    style_seed: int | None = None
    """Whose first latent gives some of the layers, in every picture (style mixing, arXiv:1812.04948)."""
    style_layers: str = ""
    """Those layers, rows of ws: `4-9` or `0,2-3`; empty: the finer half."""

    @cached_property
    def file(self) -> LatentFile | None:
        """The file, read.

        Raises:
            LatentsError: see `nada.latent_files.read_latents`.
        """
        return None if self.path is None else read_latents(self.path)

    def batches(self, domain: Domain) -> Iterator[Tensor]:
        """ws [N, L, W_DIM], at most CHUNK at once; the same seed gives the same latents in every domain.

        Raises:
            LatentsError: the file's are another generator's.
            ParamsError: the domain has no such layers.
        """
        if self.file is not None:
            ws = self.file.ws(domain.num_ws, domain.w_dim, "the domain")
            for start in range(0, len(ws), CHUNK):
                yield self._styled(domain, self._truncated(domain, torch.tensor(ws[start : start + CHUNK])))
            return
        rng = seeded_rng(self.seed)
        for start in range(0, self.count, CHUNK):
            z = draw_z(CHUNK, domain, rng)[: self.count - start]
            yield self._styled(domain, self._drawn(domain, z))

    def walks(self, domain: Domain, num_keys: int) -> list[Tensor]:
        """What each walk of a film passes, ws [K, L, W_DIM]: of a seed `count` walks, of a file a single one.

        Raises:
            LatentsError, ParamsError: see `batches`.
        """
        if self.file is not None:
            return [torch.cat(list(self.batches(domain)))]
        rng = seeded_rng(self.seed)
        keys = [self._drawn(domain, draw_z(num_keys, domain, rng)) for _ in range(self.count)]
        return [self._styled(domain, ws) for ws in keys]

    def num(self, domain: Domain) -> int:
        """N, of all batches."""
        return self.count if self.file is None else len(self.file.ws(domain.num_ws, domain.w_dim, "the domain"))

    def check(self, names: Sequence[str], params: Params) -> None:
        """Refuse domains of another generator than the file's latents were found in.

        Raises:
            LatentsError: names the domain.
        """
        if self.file is not None and self.file.generator is not None:
            for name in names:
                if made_from(name, params) != self.file.generator:
                    raise LatentsError(f"{self.path}: found in another generator than {name}'s; invert the photo anew")

    @torch.no_grad()
    def _drawn(self, domain: Domain, z: Tensor) -> Tensor:
        return domain.mapping(z, SEED_PSI if self.psi is None else self.psi)

    @torch.no_grad()
    def _truncated(self, domain: Domain, ws: Tensor) -> Tensor:
        """Latents of a file, pulled to the mean w."""
        z = torch.zeros(1, domain.z_dim, device=_device(domain))
        psi = FILE_PSI if self.psi is None else self.psi
        mean = domain.mapping(z, 0.0)  # [1, L, W_DIM]: at psi 0 nothing of z is left
        return ws.to(mean) if psi == 1 else mean.lerp(ws.to(mean), psi)

    def _styled(self, domain: Domain, ws: Tensor) -> Tensor:
        """Some layers from another latent."""
        if self.style_seed is None:
            return ws
        other = self._drawn(domain, draw_z(CHUNK, domain, seeded_rng(self.style_seed))[:1])
        rows = torch.zeros(domain.num_ws, dtype=torch.bool, device=ws.device)
        rows[parse_layers(self.style_layers, domain.num_ws)] = True
        return torch.where(rows[:, None], other, ws)


def parse_layers(text: str, num_ws: int) -> list[int]:
    """Rows of ws: `4-9`, `0,2-3`, or the finer half.

    >>> parse_layers("0,2-3", 10), parse_layers("", 5)
    ([0, 2, 3], [2, 3, 4])

    Raises:
        ParamsError: it says something else, or names a layer that is not there.
    """
    if not text:
        return list(range(num_ws // 2, num_ws))
    rows: list[int] = []
    if LAYERS.fullmatch(text):
        for part in text.split(","):
            first, _, last = part.partition("-")
            rows += range(int(first), int(last or first) + 1)
    if not rows or max(rows) >= num_ws:
        raise ParamsError(f"--style-layers: {text!r}; expected layers from 0 to {num_ws - 1}, such as 0-3 or 4,6-7")
    return rows


def _device(domain: Domain) -> torch.device:
    return next(iter(domain.parameters())).device
