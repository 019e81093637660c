"""Statistics of channels computed once for a generator and a guide, kept as files, piece by piece.

A piece is some channels of one layer, a minute's work or less. Pieces that are there are not computed again, so a
process that was killed loses one; several processes share the pieces that are missing.
Legend: K channels, D CLIP width.
"""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from nada.atomic import replacing, writing
from nada.errors import CheckpointError
from nada.methods.base import Place, Preparing
from nada.methods.directions.channels import Channels
from nada.methods.directions.config import ChannelsConfig
from nada.methods.directions.measuring import Measuring
from nada.methods.models import Models

PIECE_PICTURES = 2000
WAIT_SECONDS = 1.0  # while others compute the last pieces


@dataclass(frozen=True)
class Piece:
    """Some channels of one layer."""

    layer: str
    channels: range

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.layer}-{self.channels.start}-{self.channels.stop}.safetensors"


def cut(layers: dict[str, int], pictures_each: int) -> list[Piece]:
    """All channels of all layers in pieces of about PIECE_PICTURES pictures, in order.

    >>> [piece.name for piece in cut({"b4.conv1": 5}, pictures_each=1000)]
    ['b4.conv1-0-2.safetensors', 'b4.conv1-2-4.safetensors', 'b4.conv1-4-5.safetensors']
    """
    step = max(1, PIECE_PICTURES // pictures_each)
    return [
        Piece(layer, range(start, min(start + step, num)))
        for layer, num in layers.items()
        for start in range(0, num, step)
    ]


def prepare(config: ChannelsConfig, models: Models, places: Sequence[Place]) -> Iterator[Preparing]:
    """Compute what is missing of the statistics of `models.base` for each model of the guide.

    Args:
        config: how they are computed.
        models: the generator and the guide.
        places: one a model of the guide.

    Raises:
        OutOfMemoryError: not even one picture fits.
        OutputError: a file cannot be written.
    """
    missing = {place: clip for place, clip in zip(places, models.guide.models, strict=True) if not is_whole(place)}
    if missing:
        measuring = Measuring(models.base, list(missing.values()), config, models.micro_batch)
        yield from Preparation(measuring, list(missing)).run()


def is_whole(place: Place) -> bool:
    """Whether a file of statistics is there, as it was written."""
    try:
        Channels.load(place.path)
    except CheckpointError:
        return False
    return True


class Preparation:
    """The files that are missing, and the pieces that they will be put together from."""

    def __init__(self, measuring: Measuring, places: Sequence[Place]) -> None:
        self.measuring, self.places = measuring, places
        self.pieces = cut(measuring.layers, measuring.num_pictures(1))
        self.total = sum(map(self._num_pictures, self.pieces))

    def run(self) -> Iterator[Preparing]:
        """Until every file is there, by whoever."""
        with self._lock("all", waits=True):  # another may just have put together what was missing before
            for place in self.places:
                if not is_whole(place):
                    with writing(place.path):
                        place.path.unlink(missing_ok=True)  # one that is damaged
        while todo := [piece for piece in self.pieces if not self._is_there(piece)]:
            done, computed = self.total - sum(map(self._num_pictures, todo)), False
            yield Preparing(done, self.total)
            for piece in todo:
                with self._lock(piece.name) as is_mine:
                    if is_mine and not self._is_there(piece):
                        self._compute(piece)
                        computed = True
                done += self._num_pictures(piece)
                if computed:
                    yield Preparing(done, self.total)
            if not computed:
                time.sleep(WAIT_SECONDS)
        with self._lock("all", waits=True):
            for index, place in enumerate(self.places):
                if not is_whole(place):
                    self._put_together(index, place)
        for place in self.places:
            shutil.rmtree(place.parts, ignore_errors=True)
            with suppress(OSError):
                place.parts.parent.rmdir()  # the last one takes the folders along
                place.parts.parent.parent.rmdir()

    def _num_pictures(self, piece: Piece) -> int:
        return self.measuring.num_pictures(len(piece.channels))

    def _is_there(self, piece: Piece) -> bool:
        """Of every model, or in its file."""
        return all((place.parts / piece.name).is_file() or place.path.is_file() for place in self.places)

    @contextmanager
    def _lock(self, name: str, waits: bool = False) -> Iterator[bool]:
        """Whether something is this process's alone to do; it ends with the process, however that ends."""
        path = self.places[0].parts / f"{name}.lock"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True

    def _compute(self, piece: Piece) -> None:
        for place, rows in zip(self.places, self.measuring.relevance(piece.layer, piece.channels), strict=True):
            with replacing(place.parts / piece.name) as partial:
                save_file({"relevance": rows.contiguous()}, partial)

    def _put_together(self, index: int, place: Place) -> None:
        means, stds = self.measuring.statistics
        rows = [self._rows(piece, index, place) for piece in self.pieces]
        Channels(
            self.measuring.layers,
            torch.cat(list(means.values())),
            torch.cat(list(stds.values())),
            torch.cat(rows),
        ).save(place.path)

    def _rows(self, piece: Piece, index: int, place: Place) -> Tensor:
        """[K, D]; a piece that somebody damaged or removed is computed again."""
        with suppress(SafetensorError, OSError, KeyError):
            rows: Tensor = load_file(place.parts / piece.name)["relevance"]
            if rows.shape[0] == len(piece.channels):
                return rows
        return self.measuring.relevance(piece.layer, piece.channels)[index]
