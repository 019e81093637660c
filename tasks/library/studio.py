"""A library kept open: pictures one at a time, of a domain or of a mix, for whoever asks again and again.

The same objects as the commands use: what `nada mix` draws of these parts and latents is what is drawn here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from nada.errors import LatentsError, NadaError, ParamsError
from nada.generators.domain import Domain
from nada.images import grid
from nada.judge.samples import render
from tasks.config.params import load_params
from tasks.gallery.about import verdict
from tasks.library.domains import SOURCE, Part, find_making, finished_domains, made_from, open_domain, open_mix
from tasks.library.latents import CHUNK, Shown

KEPT = 4  # opened domains and mixes; a mix of weights is a generator of its own


@dataclass(frozen=True)
class Look:
    """A finished domain, for a page."""

    name: str
    source: str
    target: str
    method: str
    is_generator: bool
    """Whether it can be mixed, and exported in every format."""
    verdict: str
    key: str
    """Of making: pictures of another key are others."""


class Studio:
    """Domains opened once, and drawn by one thread at a time.

    Args:
        params_path: params.yaml.
        device: where to draw.
    """

    def __init__(self, params_path: Path, device: str) -> None:
        self.params_path, self.device = params_path, device
        self.lock = threading.RLock()
        """Held while anything is opened or drawn."""
        self._opened: dict[tuple[tuple[str, str, float], ...], Domain] = {}

    def looks(self) -> list[Look]:
        """The finished domains; those whose record is damaged are left out, as `nada run` makes them again."""
        found = []
        for name in finished_domains():
            try:
                making = find_making(name)
                is_generator = making.method_object.weights_name is not None
            except NadaError:
                continue
            row, target = making.row, making.row.target or ""
            found.append(Look(name, row.source, target, making.method, is_generator, verdict(name), making.key))
        return found

    def open(self, parts: Sequence[Part]) -> Domain:
        """The source where there are no parts, a domain, or a mix.

        Raises:
            CheckpointError, ParamsError: see `tasks.library.domains.open_domain` and `open_mix`.
        """
        key = tuple((name, "" if name == SOURCE else find_making(name).key, share) for name, share in parts)
        with self.lock:
            opened = self._opened.pop(key, None) or self._open(parts)
            while len(self._opened) >= KEPT:
                del self._opened[next(iter(self._opened))]
            self._opened[key] = opened
            return opened

    def _open(self, parts: Sequence[Part]) -> Domain:
        if not parts:
            return open_domain(SOURCE, self.params_path, self.device)
        if len(parts) == 1 and parts[0][1] == 1.0:
            return open_domain(parts[0][0], self.params_path, self.device)
        return open_mix(parts, self.params_path, self.device)

    def picture(self, parts: Sequence[Part], shown: Shown, index: int) -> Image.Image:
        """One of the latents.

        Raises:
            CheckpointError, LatentsError, ParamsError: see `open` and `Shown.batches`; there is no such latent.
        """
        with self.lock:
            domain = self.open(parts)
            if not 0 <= index < min(CHUNK, shown.num(domain)):
                raise LatentsError(f"latent {index}: there are {shown.num(domain)}")
            ws = next(shown.batches(domain))[index : index + 1]
            (img_u8,) = render(domain, ws, 1)
        return grid(img_u8, 1)

    def check(self, parts: Sequence[Part], shown: Shown) -> None:
        """Refuse latents of another generator than the parts were made from.

        Raises:
            LatentsError: names the domain.
        """
        shown.check([name for name, _ in parts], load_params(self.params_path))

    def resolution(self) -> int:
        """Pixels of a side of the source's pictures."""
        return self.open([]).resolution

    def origin(self) -> str:
        """sha256 of today's generator."""
        return made_from(SOURCE, load_params(self.params_path))


def parse_number(name: str, text: str, least: float, most: float) -> float:
    """A number of an address.

    Raises:
        ParamsError: it is none, or out of range.
    """
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise ParamsError(f"{name}: {text!r}; expected {least:g} to {most:g}")
    return value
