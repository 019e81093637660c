"""Train one of the two CLIPs, plainly or on adversarial images.

    python train_clip.py --architecture vit --seed 1 --steps 900 --data DATA --out CLIP/nada-avatars-guide
    python train_clip.py --architecture vit --seed 2 --steps 600 --start-from CLIP/plain --radius 3 ...

Two losses are added. The contrastive loss of CLIP, where captions that claim the same count as the same and captions
that merely also fit an image are left out. And the edit loss: the embedding of a filtered portrait minus that of the
untouched one points along the difference of their captions. With a radius, images are first moved within an L2 ball
of [-1, 1] pixels to where the loss is worst; a model trained so has gradients that people can read. With a near
weight, the edit cosine of near misses must equal how near they are, so that half an edit earns half the praise.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from captions import CARTOON, PLAIN, fit_matrix, same_matrix
from clip_model import CONFIGS, CaptionTokens, build_compact, compact_state, export, to_clip
from dataset import Batch, Batches, augment
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

WARMUP_STEPS = 60
MAX_LOGIT_SCALE = math.log(50)
STYLE_EDIT_WEIGHT = 0.5
MAX_STYLE_SCORE = 0.3
"""Edit cosine above which a filtered portrait would pass for another drawing style."""

RADIUS_RISE = 0.4
"""Share of the steps in which the attack grows to its full radius."""


@dataclass(frozen=True)
class Plan:
    """One training: sizes, rates and the attack (radius 0: none)."""

    steps: int
    quarter: int
    lr: float
    edit_weight: float
    near_weight: float
    radius: float
    attack_steps: int
    seed: int


@dataclass(frozen=True)
class Losses:
    """The weighted sum, its parts, and the embeddings of the captioned images."""

    total: Tensor
    contrastive: Tensor
    edit: Tensor
    near: Tensor
    img_emb: Tensor


@dataclass(frozen=True)
class Targets:
    """Which captions [columns] are true (`same`) of which images [rows], and which are left out (`skip`)."""

    same: Tensor
    skip: Tensor
    source_rows: int
    style_rows: Tensor


def targets_of(batch: Batch, quarter: int) -> Targets:
    same = torch.from_numpy(same_matrix(batch.meanings))
    fits = torch.from_numpy(fit_matrix(batch.meanings, batch.seen))
    others = list(enumerate(batch.seen))[2 * quarter :]
    styles = [i for i, image in others if image.treatment == PLAIN and image.kind != CARTOON]
    return Targets(same, (fits | fits.T) & ~same, quarter, torch.tensor(styles))


def contrastive_loss(img_emb: Tensor, text_emb: Tensor, scale: Tensor, targets: Targets) -> Tensor:
    """CLIP's symmetric loss with several true captions an image; all inputs have unit rows [N, D]."""
    logits = scale * img_emb @ text_emb.T
    logits = logits.masked_fill(targets.skip, float("-inf"))
    truth = targets.same.float() / targets.same.sum(dim=1, keepdim=True)
    losses = []
    for view in (logits, logits.T):
        log_share = view.log_softmax(dim=1).masked_fill(truth == 0, 0)
        losses.append(-(truth * log_share).sum(dim=1).mean())
    return (losses[0] + losses[1]) / 2


def edit_loss(img_emb: Tensor, text_emb: Tensor, targets: Targets) -> Tensor:
    """1 - cosine between edits of images and of their captions, for filters and for drawing styles."""
    q, rows = targets.source_rows, targets.style_rows
    filters = 1 - F.cosine_similarity(img_emb[q : 2 * q] - img_emb[:q], text_emb[q : 2 * q] - text_emb[:q])
    img_source, text_source = img_emb[:q].mean(dim=0), text_emb[:q].mean(dim=0)
    styles = 1 - F.cosine_similarity(img_emb[rows] - img_source, text_emb[rows] - text_source)
    return filters.mean() + STYLE_EDIT_WEIGHT * styles.mean()


def near_loss(near_emb: Tensor, img_emb: Tensor, text_emb: Tensor, targets: Targets, scores: Tensor) -> Tensor:
    """Squared error of the edit cosine of near misses against how near they are; none may pass for another style."""
    q, rows = targets.source_rows, targets.style_rows
    edit = near_emb - img_emb[:q]
    score = F.cosine_similarity(edit, text_emb[q : 2 * q] - text_emb[:q])
    style_dir = F.normalize(text_emb[rows] - text_emb[:q].mean(dim=0), dim=-1)
    passing = (F.normalize(edit, dim=-1) @ style_dir.T - MAX_STYLE_SCORE).clamp_min(0)
    return ((score - scores) ** 2).mean() + (passing**2).mean()


def total_loss(
    model: torch.nn.Module, img: Tensor, text_emb: Tensor, targets: Targets, plan: Plan, scores: Tensor
) -> Losses:
    """All losses of images in [-1, 1], [M, 3, H, W]: the captioned ones, then the near misses."""
    emb = F.normalize(model.encode_image(to_clip(img)), dim=-1)
    num, num_near = len(text_emb), plan.quarter if plan.near_weight > 0 else 0
    img_emb, near_emb = emb[:num], emb[num : num + num_near]
    contrastive = contrastive_loss(img_emb, text_emb, model.logit_scale.exp(), targets)
    edit = edit_loss(img_emb, text_emb, targets)
    near = torch.zeros(())
    if num_near:
        near = near_loss(near_emb, img_emb, text_emb, targets, scores)
    return Losses(contrastive + plan.edit_weight * edit + plan.near_weight * near, contrastive, edit, near, img_emb)


def attack(
    model: torch.nn.Module, img: Tensor, text_emb: Tensor, targets: Targets, plan: Plan, scores: Tensor, radius: float
) -> Tensor:
    """Images moved at most `radius` (L2) towards a higher loss, [N, 3, H, W]; parameters are untouched.

    The result may leave [-1, 1], as the images of a generator in training do.
    """
    text_emb = text_emb.detach()
    shift = torch.zeros_like(img)
    size = radius if plan.attack_steps == 1 else 1.5 * radius / plan.attack_steps
    for _ in range(plan.attack_steps):
        shift.requires_grad_(True)
        loss = total_loss(model, img + shift, text_emb, targets, plan, scores).total
        (grad,) = torch.autograd.grad(loss, shift)
        step = grad / grad.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        moved = shift.detach() + size * step
        norm = moved.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None, None]
        shift = moved * (radius / norm).clamp(max=1)
    return img + shift


def rate(step: int, plan: Plan) -> float:
    """Learning rate: a short rise, then half a cosine down to 2%."""
    rise = min(1.0, (step + 1) / WARMUP_STEPS)
    return plan.lr * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def train(model: torch.nn.Module, batches: Batches, tokens: CaptionTokens, plan: Plan) -> Iterator[tuple[int, Tensor]]:
    """Train in place; yields (step, [contrastive, edit, near, accuracy])."""
    heavy = [p for p in model.parameters() if p.ndim > 1]
    light = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": heavy, "weight_decay": 0.05}, {"params": light, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))
    rng = torch.Generator().manual_seed(plan.seed)
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, plan)
        batch = batches.draw()
        targets = targets_of(batch, plan.quarter)
        img = batch.img_u8.float() / 127.5 - 1
        text_emb = F.normalize(model.encode_text(tokens(batch.texts)), dim=-1)
        img = augment(torch.cat([img, batch.near]) if plan.near_weight > 0 else img, rng)
        if plan.radius > 0:
            model.eval()  # attack the network as it is used, and keep its moving averages clean
            radius = plan.radius * min(1.0, (step + 1) / (RADIUS_RISE * plan.steps))
            img = attack(model, img, text_emb, targets, plan, batch.near_scores, radius)
            model.train()
        losses = total_loss(model, img, text_emb, targets, plan, batch.near_scores)
        optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
            best = (losses.img_emb @ text_emb.T).argmax(dim=1, keepdim=True)
            right = (targets.same | targets.skip).gather(1, best).float().mean()
        yield step, torch.stack([losses.contrastive, losses.edit, losses.near, right]).detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=tuple(CONFIGS), required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder of training images (styles.py)")
    parser.add_argument("--out", type=Path, required=True, help="path without ending; .json and .safetensors follow")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--quarter", type=int, default=28, help="a quarter of the batch size")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--edit-weight", type=float, default=1.0)
    parser.add_argument("--near-weight", type=float, default=0.0, help="weight of the score of near misses")
    parser.add_argument("--radius", type=float, default=0.0, help="L2 radius of the attack in [-1, 1] pixels")
    parser.add_argument("--attack-steps", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start-from", type=Path, help="path without ending of weights to continue")
    parser.add_argument("--keep-every", type=int, default=0, help="also write OUT-STEP every so many steps")
    args = parser.parse_args()
    plan = Plan(**{field.name: getattr(args, field.name) for field in fields(Plan)})
    torch.manual_seed(plan.seed)
    tokens = CaptionTokens()
    model = build_compact(args.architecture, len(tokens.ids))
    if args.start_from:
        model.load_state_dict(compact_state(load_file(f"{args.start_from}.safetensors"), tokens.ids))
    model.train()
    note = {"seed": str(plan.seed), "radius": str(plan.radius), "steps": str(plan.steps)}
    begun, mean = time.monotonic(), torch.zeros(4)
    for step, figures in train(model, Batches(args.data, plan.quarter, plan.seed), tokens, plan):
        mean = figures if step == 0 else 0.95 * mean + 0.05 * figures
        if step % 25 == 0:
            seconds = (time.monotonic() - begun) / (step + 1)
            print(
                f"{step} contrastive {mean[0]:.3f} edit {mean[1]:.3f} near {mean[2]:.3f} "
                f"right {mean[3]:.3f} {seconds:.2f} s",
                flush=True,
            )
        if args.keep_every and (step + 1) % args.keep_every == 0:
            export(model, tokens.ids, args.architecture, args.out.with_name(f"{args.out.name}-{step + 1}"), note)
    export(model, tokens.ids, args.architecture, args.out, note)


if __name__ == "__main__":
    main()
