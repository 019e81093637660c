"""What the guide saw of the frozen source, kept for the rows that meet the same latents in the same way.

Rows of one source, guide and seed draw the same latents, noise and views, as long as they draw as many of them; so
after the first of them the source is neither rendered nor embedded again. What comes back is what was computed, bit for
bit. Legend: N batch, D CLIP width.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from torch import Tensor

MOST_BYTES = 64 << 20
"""Four pictures of two models of 512 numbers are 16 kB a step: some 4,000 steps."""

Embeddings = tuple[list[Tensor], list[Tensor]]
"""Of the pictures and of their patches: [N, D] a model each."""


@dataclass
class Tally:
    """How often one row asked, and was answered from what was kept."""

    asked: int = 0
    known: int = 0


@dataclass
class SourceEmbeddings:
    """Embeddings of one frozen generator by what they depend on: random numbers, and which part of a batch.

    Where there is no room left, what earlier rows used gives way, the earliest first; a row never gives up its own.
    """

    most_bytes: int = MOST_BYTES
    num_bytes: int = 0
    _kept: dict[Hashable, tuple[Tally, Embeddings]] = field(default_factory=dict)
    """By when they were last of use, the earliest first, each with the tally of the row that used it."""

    def find(self, key: Hashable, compute: Callable[[], Embeddings], tally: Tally) -> Embeddings:
        """What was kept, else what is computed now.

        Args:
            key: equal only for equal random numbers and equal shapes.
            compute: renders and embeds, without gradient.
            tally: of the row that asks.
        """
        tally.asked += 1
        if (kept := self._kept.pop(key, None)) is not None:
            tally.known += 1
            self._kept[key] = tally, kept[1]
            return kept[1]
        found = compute()
        size = _bytes_of(found)
        while self.num_bytes + size > self.most_bytes and self._kept:
            earliest = next(iter(self._kept))
            if self._kept[earliest][0] is tally:  # to give up one's own would serve nobody
                return found
            self.num_bytes -= _bytes_of(self._kept.pop(earliest)[1])
        if size <= self.most_bytes:
            self._kept[key] = tally, found
            self.num_bytes += size
        return found


def _bytes_of(embeddings: Embeddings) -> int:
    return sum(emb.numel() * emb.element_size() for part in embeddings for emb in part)
