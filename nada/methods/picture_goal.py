"""A goal that pictures show: a style that people have a few pictures of, and perhaps no words for (section 5 of the
paper, few-shot).

Legend: K style pictures, M pictures of the generator, R resolution in pixels, D CLIP width.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from nada.clip.goal import Eye, PromptPair
from nada.clip.guide import Guide
from nada.errors import GuideError
from nada.generators.domain import Domain
from nada.images import from_u8, grid
from nada.judge.samples import fixed_latents, render
from nada.micro_batch import MicroBatch

SOURCE_PICTURES = 16  # of the generator, as published; their mean is where the direction starts
SOURCE_SEED = 20_220_101  # neither the judge's nor a probe's latents
AT_ONCE = 16  # pictures
STRIP_PICTURES, STRIP_PX = 10, 64  # at most 120 kB
DIRECTION_MIN = 1e-6  # between the two means, among unit embeddings

Keep = Callable[[Hashable, Callable[[], Tensor]], Tensor]


class PictureGoal:
    """Pictures of the target domain, and by some share its text; a `Goal`.

    The direction is normalise(mean of the pictures' embeddings - mean of the generator's), the place their mean.

    Args:
        img_u8: the pictures, [K, 3, R, R] bytes.
        pair: the row's prompts; a target without words is empty.
        share: of the pictures, in (0, 1]; the rest is the text's.
        frozen: the generator that edits are measured from.
        keep: gives back what was made under a key before, such as `nada.methods.models.Models.keep`.
    """

    def __init__(
        self, img_u8: Tensor, pair: PromptPair, share: float, frozen: Domain, keep: Keep = lambda _, make: make()
    ) -> None:
        self.img_u8, self.pair, self.share, self.frozen, self.keep = img_u8, pair, share, frozen, keep
        self.device = next(iter(frozen.parameters())).device
        self._embs: dict[Eye, Tensor] = {}

    def directions(self, guide: Guide) -> list[Tensor]:
        """From the generator's pictures to these; see `Goal.directions`."""
        return self._mixed([self.direction(model) for model in guide.models], lambda: self.pair.directions(guide))

    def direction_sets(self, guide: Guide) -> list[Tensor]:
        """From the generator's pictures to each of these, [K, D] a model; the text has no share in them."""
        return [F.normalize(self._emb(model) - self._mean_of_source(model), dim=1) for model in guide.models]

    def cosines(self, guide: Guide) -> list[Tensor]:
        """How near these pictures are to the generator's; the text has no share in it."""
        return [F.cosine_similarity(self.place(model), self._mean_of_source(model), dim=0) for model in guide.models]

    def places(self, guide: Guide, article: bool = False) -> list[Tensor]:
        """Where these pictures lie; see `Goal.places`."""
        return self._mixed([self.place(model) for model in guide.models], lambda: self.pair.places(guide, article))

    def seen_by(self, clip: Eye) -> tuple[Tensor, Tensor]:
        """See `Goal.seen_by`."""
        direction, place = self.direction(clip), self.place(clip)
        direction, place = self._mixed([direction, place], lambda: self.pair.seen_by(clip))
        return direction, place

    def direction(self, clip: Eye) -> Tensor:
        """From the generator's pictures to these by one model, [D], unit norm; the text has no share in it.

        Raises:
            GuideError: the model sees no difference between the two.
        """
        edit = self._mean(clip) - self._mean_of_source(clip)
        if edit.norm() < DIRECTION_MIN:
            raise GuideError(f"{clip.name}: the style pictures are what the generator draws; choose others")
        return F.normalize(edit, dim=0)

    def place(self, clip: Eye) -> Tensor:
        """Where these pictures lie by one model, [D], unit norm; the text has no share in it."""
        return F.normalize(self._mean(clip), dim=0)

    def strip(self) -> Image.Image:
        """The first of the pictures side by side, small."""
        size = min(STRIP_PX, self.img_u8.shape[-1])
        small = F.interpolate(self.img_u8[:STRIP_PICTURES].float(), size=(size, size), mode="area")
        return grid(small.round().byte(), STRIP_PICTURES)

    def _emb(self, clip: Eye) -> Tensor:
        if clip not in self._embs:
            self._embs[clip] = embed(clip, self.img_u8, self.device)
        return self._embs[clip]

    def _mean(self, clip: Eye) -> Tensor:
        return self._emb(clip).mean(dim=0)

    def _mean_of_source(self, clip: Eye) -> Tensor:
        """Over pictures of fixed latents, drawn as widely as in training."""

        def measure() -> Tensor:
            ws = fixed_latents(self.frozen, SOURCE_PICTURES, truncation_psi=1.0, seed=SOURCE_SEED)
            img_u8 = torch.cat(list(render(self.frozen, ws, AT_ONCE)))  # [M, 3, R, R]
            return embed(clip, img_u8, self.device).mean(dim=0)

        return self.keep(("mean of the source's pictures", self.frozen, clip), measure)

    def _mixed(self, shown: Sequence[Tensor], said: Callable[[], Sequence[Tensor]]) -> list[Tensor]:
        """Unit vectors [D] between what the pictures and the text say, by their shares."""
        if self.share == 1:
            return list(shown)
        both = zip(shown, said(), strict=True)
        return [F.normalize(torch.lerp(text, picture, self.share), dim=0) for picture, text in both]


@torch.no_grad()
def embed(clip: Eye, img_u8: Tensor, device: torch.device | str) -> Tensor:
    """Embeddings of pictures, [K, D], unit norm each.

    Args:
        clip: the model.
        img_u8: [K, 3, R, R] bytes.
        device: of the model.

    Raises:
        OutOfMemoryError: not even one picture fits.
    """
    looks = MicroBatch(AT_ONCE).each(
        "style pictures", len(img_u8), lambda part: clip.embed_images(from_u8(img_u8[part].to(device)))
    )
    return torch.cat(list(looks))
