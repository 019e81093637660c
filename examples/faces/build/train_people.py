"""Teach two CLIPs of people on frozen ImageNet networks: a linear head each, and one text tower for both.

    python train_people.py WORK/people.pt ../people/people.part.safetensors

A picture's embedding is [constant, smile, age, man, sunglasses, what else it shows], a text's the same with zeros at
the end. So an edit that follows a text moves along its axes and leaves the rest of the picture alone. Heads are ridge
regressions of the labels of `people_labels.py`, in closed form; only the tower is trained.
Legend: N faces, V views, F width of the features, D width of the embeddings, T texts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from clip_model import WIDTH
from distil_text import TextTower, compact_tokens
from people_words import AXES, words
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from nada.atomic import replacing
from nada.clip.templates import fill

CONSTANT = 2.5  # how far a text lies from the middle of all axes; a picture is that far on the mean
NUM_REST, REST = 24, 0.5  # directions in which pictures differ most beside the axes, and their standard deviation
RARE = {"sunglasses": 0.5}  # of an axis that few faces have anything on, likewise
RIDGE = 0.3
STEPS, BATCH, RATE, WARM_UP, TOLD_EVERY = 500, 128, 2e-3, 50, 100
LIKENESS, LEAST_DIFFERENCE = 4.0, 0.05


def image_head(features: Tensor, labels: Tensor) -> Tensor:
    """A linear map of features to embeddings, not normalised: [N, V, F] and labels [N, 4] -> [D, F]."""
    seen = features.double().flatten(0, 1)
    wanted = labels.double().repeat_interleave(features.shape[1], dim=0)
    wanted = (wanted - wanted.mean(dim=0)) / wanted.std(dim=0)
    wanted = wanted * torch.tensor([RARE.get(axis, 1.0) for axis in AXES]).double()
    mean = seen.mean(dim=0)
    centred = seen - mean
    spread = centred.std(dim=0) + 0.05 * centred.std()
    width = len(mean) ** 0.5
    unit = centred / spread / width
    solved = torch.linalg.solve(unit @ unit.T + RIDGE * torch.eye(len(unit)).double(), wanted)
    axes = (unit.T @ solved) / width / spread[:, None]  # [F, 4]
    axes = axes * (wanted.std(dim=0) / (centred @ axes).std(dim=0))  # regressions shrink towards the mean
    basis, _ = torch.linalg.qr(axes)
    others = torch.linalg.svd((centred - centred @ basis @ basis.T)[::2], full_matrices=False).Vh[:NUM_REST]
    others = others * (REST / (centred @ others.T).std(dim=0))[:, None]
    head = torch.zeros(WIDTH, len(mean)).double()
    head[0] = CONSTANT * (mean / spread**2) / (mean / spread**2 @ mean)
    rest = torch.cat([axes.T, others - others @ basis @ basis.T])
    head[1 : 1 + len(rest)] = rest - (rest @ mean)[:, None] / CONSTANT * head[0]  # nothing on the mean face
    return head.float()


def texts_and_places() -> tuple[list[str], Tensor]:
    """Every word alone and in every template, and where its embedding shall be, [T, D], unit norm."""
    texts: list[str] = []
    rows: list[tuple[float, ...]] = []
    for word, place in words():
        said = [*fill(word), word]
        texts += said
        rows += [place] * len(said)
    places = torch.zeros(len(texts), WIDTH)
    places[:, 0] = CONSTANT
    places[:, 1 : 1 + len(AXES)] = torch.tensor(rows)
    return texts, F.normalize(places, dim=1)


def train(tower: TextTower, tokens: Tensor, places: Tensor, steps: int) -> None:
    """On places, and on differences of places, which is what directions are made of."""
    optimizer = torch.optim.AdamW(tower.parameters(), lr=RATE, weight_decay=0.01)
    rng = torch.Generator().manual_seed(1)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1, (step + 1) / WARM_UP) * (1 - step / steps)
        rows = torch.randint(len(tokens), (BATCH,), generator=rng)
        (emb,), wanted, half = tower(tokens[rows]), places[rows], BATCH // 2
        apart = F.cosine_similarity(emb[:half] - emb[half:], wanted[:half] - wanted[half:], eps=LEAST_DIFFERENCE)
        loss = LIKENESS * (1 - (emb * wanted).sum(dim=1)).mean() + (1 - apart).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(tower.parameters(), 1.0)
        optimizer.step()
        if step % TOLD_EVERY == 0:
            print(f"{step}: {float(loss.detach()):.4f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=Path, help="of people_labels.py")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    args = parser.parse_args()
    labelled = torch.load(args.labelled, weights_only=True)
    part = {f"head.{lite}": image_head(seen, labelled["labels"]) for lite, seen in enumerate(labelled["features"])}
    texts, places = texts_and_places()
    ids, tokens, fits = compact_tokens(texts)
    torch.manual_seed(0)
    tower = TextTower(len(ids), 1)
    train(tower, tokens, places[fits], args.steps)
    part |= {f"tower.{name}": tensor for name, tensor in tower.state_dict().items()}
    # Most of a head is zero, and is left out.
    part |= {name: t[: 1 + len(AXES) + NUM_REST] for name, t in part.items() if name.startswith("head.")}
    half = {name: tensor.half().contiguous() for name, tensor in part.items()}
    with replacing(args.out) as partial:
        save_file({**half, "ids": ids}, partial)


if __name__ == "__main__":
    main()
