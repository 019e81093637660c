"""Distil a sentence encoder and the text heads of guide and judge into one small text tower, as open_clip has it.

    python distil_text.py WORK/texts.pt WORK/tower.pt --clips WORK/gc.pt WORK/ja.pt

A night loads no sentence encoder: the tower reads CLIP's own tokens and has a projection for each of the CLIPs. It
holds embeddings of the tokens that its texts use and positions as far as they reach; `export_clip.py` spreads both.
Legend: N texts, T tokens, W width of the tower, D width of the embeddings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from clip_model import WIDTH, text_head
from torch import Tensor, nn
from torch.nn import functional as F

from nada.atomic import replacing
from nada.clip.open_clip_import import open_clip

TOKENIZER, LENGTH = "ViT-B-32", 24  # tokens of a text; longer texts are left out
TOWER_WIDTH, NUM_LAYERS, NUM_HEADS = 64, 3, 2
STEPS, BATCH, RATE, LEAST_RATE, WARM_UP = 2600, 192, 2e-3, 1e-6, 100
WEIGHT_DECAY, BETAS, GRADIENT_NORM = 0.01, (0.9, 0.98), 1.0
DIFFERENCE = 0.5  # weight of the loss on differences of texts, which is what directions are made of
SEED, TOLD_EVERY, CHECKED_EVERY = 0, 100, 7


class TextTower(nn.Module):
    """open_clip's text transformer over a compact vocabulary, with several projections; names are open_clip's."""

    attn_mask: Tensor

    def __init__(self, num_tokens: int, num_projections: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(num_tokens, TOWER_WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(LENGTH, TOWER_WIDTH) * 0.01)
        self.transformer = open_clip.transformer.Transformer(TOWER_WIDTH, NUM_LAYERS, NUM_HEADS)
        self.ln_final = nn.LayerNorm(TOWER_WIDTH)
        self.text_projection = nn.ParameterList(
            nn.Parameter(torch.randn(TOWER_WIDTH, WIDTH) * TOWER_WIDTH**-0.5) for _ in range(num_projections)
        )
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        causal = torch.full((LENGTH, LENGTH), float("-inf")).triu(1)
        self.register_buffer("attn_mask", causal, persistent=False)

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Compact tokens [N, T] -> embeddings for each projection, [N, D], unit norm.

        The end of a text is its largest token; nothing after the latest end of the batch is looked at.
        """
        end = tokens.argmax(dim=1)
        length = int(end.max()) + 1
        x = self.token_embedding(tokens[:, :length]) + self.positional_embedding[:length]
        x = self.ln_final(self.transformer(x, attn_mask=self.attn_mask[:length, :length]))
        last = x[torch.arange(len(x)), end]
        return [F.normalize(last @ projection, dim=-1) for projection in self.text_projection]


def compact_tokens(texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of the texts that are short enough.

    Returns:
        ids of the tokens in use, sorted, so that the mark of the end stays the largest;
        tokens as places among the ids, [N, T], of the texts that fit into T;
        which texts these are, [number of texts] of bool.
    """
    full = open_clip.get_tokenizer(TOKENIZER)(list(texts))
    fits = (full[:, LENGTH:] == 0).all(dim=1)
    ids, tokens = torch.unique(full[fits, :LENGTH], return_inverse=True)
    return ids, tokens, fits


def by_length(tokens: Tensor, rng: torch.Generator) -> Tensor:
    """Rows from the shortest text to the longest, [N], those of one length shuffled; token 0 fills up."""
    return torch.argsort((tokens != 0).sum(dim=1) + torch.rand(len(tokens), generator=rng) * 0.9)


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """How far embeddings are from a head's, and differences of the batch's halves from a head's; summed over heads."""
    loss, half = torch.zeros(()), len(found[0]) // 2
    for emb, head in zip(found, wanted, strict=True):
        loss = loss + (1 - (emb * head).sum(dim=1)).mean()
        step, head_step = (one[:half] - one[half : 2 * half] for one in (emb, head))
        loss = loss + DIFFERENCE * (1 - F.cosine_similarity(step, head_step)).mean()
    return loss


def train(
    tower: TextTower, tokens: Tensor, wanted: Sequence[Tensor], orders: Sequence[Tensor], steps: int, seed: int
) -> Iterator[float]:
    """Yields the loss of every step.

    Args:
        tower: learns.
        tokens: of every text, [N, T].
        wanted: embeddings of the texts by each head, [N, D].
        orders: rows by length; batches are drawn from each in turn, from neighbours, so that little is padding.
        steps: how many.
        seed: of the batches.
    """
    optimizer = torch.optim.AdamW(tower.parameters(), lr=RATE, weight_decay=WEIGHT_DECAY, betas=BETAS)
    rng = torch.Generator().manual_seed(seed)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP) * (1 - step / steps) + LEAST_RATE
        order = orders[step % len(orders)]
        start = int(torch.randint(len(order) - 2 * BATCH, (1,), generator=rng))
        rows = order[start : start + 2 * BATCH][torch.randperm(2 * BATCH, generator=rng)[:BATCH]]
        loss = distance(tower(tokens[rows]), [head[rows] for head in wanted])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), GRADIENT_NORM)
        optimizer.step()
        yield float(loss.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, help="of text_corpus.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("--clips", type=Path, nargs="+", required=True, help="of train_clip.py, one for a projection")
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    corpus = torch.load(args.texts, weights_only=True)
    ids, tokens, fits = compact_tokens(corpus["texts"])
    with torch.no_grad():
        wanted = [F.normalize(text_head(path)(corpus["emb"][fits].float()), dim=-1) for path in args.clips]
    torch.manual_seed(SEED)
    tower, order = TextTower(len(ids), len(wanted)), by_length(tokens, torch.Generator().manual_seed(SEED))
    captions = order[order < int(fits[: corpus["num_captions"]].sum())]
    print(f"{len(tokens)} texts of {len(ids)} tokens")
    for step, loss in enumerate(train(tower, tokens, wanted, (order, captions), args.steps, SEED + 1), start=1):
        if step % TOLD_EVERY == 0:
            print(f"{step}: {loss:.4f}", flush=True)
    with replacing(args.out) as partial:
        torch.save({"tower": tower.state_dict(), "ids": ids}, partial)
    with torch.no_grad():
        found = tower(tokens[::CHECKED_EVERY])
    for path, emb, head in zip(args.clips, found, wanted, strict=True):
        cosine = (emb * head[::CHECKED_EVERY]).sum(dim=1)
        print(f"{path}: cosine {cosine.mean():.3f}, 5th percentile {cosine.quantile(0.05):.3f}")


if __name__ == "__main__":
    main()
