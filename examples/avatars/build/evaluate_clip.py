"""Judge a CLIP on held-out portraits: does it find the right prompt, and do edits follow the words?

    python evaluate_clip.py --held-out DATA CLIP/nada-avatars-guide CLIP/nada-avatars-judge

The model is loaded from its float16 file the way any open_clip model is. `right` is the share of a domain's true
images whose nearest prompt, among all domains' and the source's, is their own. `edit` is the mean cosine between an
image edit (true image minus source image, each normalised first) and the text edit over 79 templates: of the same
portrait for filters, against the mean source embedding for drawing styles.
"""

import argparse
from pathlib import Path

import torch
from captions import PLAIN
from clip_model import to_clip
from domains import DOMAINS, SOURCE_PROMPT, true_images
from filters import Images
from styles import load_images
from torch import Tensor
from torch.nn import functional as F

from nada.clip.open_clip_import import open_clip
from nada.clip.templates import fill

NUM_IMAGES = 200


class Loaded:
    """An exported CLIP, embedding bytes and prompts with unit norm."""

    def __init__(self, stem: Path) -> None:
        open_clip.add_model_config(stem.with_name(stem.name + ".json"))
        weights = str(stem.with_name(stem.name + ".safetensors"))
        self.model = open_clip.create_model(stem.name, pretrained=weights, precision="fp32").eval()
        self.tokenize = open_clip.get_tokenizer(stem.name)

    def embed_pixels(self, img: Tensor) -> Tensor:
        """Unit embeddings [N, D] of images in [-1, 1], [N, 3, 64, 64]; gradients flow."""
        return F.normalize(self.model.encode_image(to_clip(img)), dim=-1)

    @torch.no_grad()
    def embed_bytes(self, images: Images) -> Tensor:
        img = torch.from_numpy(images.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
        return torch.cat([self.embed_pixels(part) for part in img.split(100)])

    @torch.no_grad()
    def embed_prompt(self, prompt: str) -> Tensor:
        """Unit embeddings of a prompt in every template, [T, D]."""
        return F.normalize(self.model.encode_text(self.tokenize(fill(prompt))), dim=-1)


def evaluate(clip: Loaded, held_out_path: Path) -> list[tuple[str, float, float]]:
    """For the source and each domain: (slug, share right, mean edit cosine)."""
    source = load_images("source", held_out_path)[:NUM_IMAGES]
    emb_source = clip.embed_bytes(source)
    prompts = [SOURCE_PROMPT, *(domain.target for domain in DOMAINS)]
    text = [clip.embed_prompt(prompt) for prompt in prompts]
    classes = F.normalize(torch.stack([t.mean(dim=0) for t in text]), dim=-1)
    rows = [("source", float(((emb_source @ classes.T).argmax(dim=1) == 0).float().mean()), float("nan"))]
    for index, domain in enumerate(DOMAINS, start=1):
        emb = clip.embed_bytes(true_images(domain, held_out_path, NUM_IMAGES))
        right = float(((emb @ classes.T).argmax(dim=1) == index).float().mean())
        text_dir = F.normalize((text[index] - text[0]).mean(dim=0), dim=0)
        base = emb_source if domain.treatment != PLAIN else emb_source.mean(dim=0)
        edit = float((F.normalize(emb - base, dim=-1) @ text_dir).mean())
        rows.append((domain.slug, right, edit))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True, help="folder of held-out images (styles.py)")
    parser.add_argument("models", type=Path, nargs="+", help="paths without ending")
    args = parser.parse_args()
    for stem in args.models:
        rows = evaluate(Loaded(stem), args.held_out)
        print(f"{stem.name}: mean right {sum(r for _, r, _ in rows) / len(rows):.3f}")
        for slug, right, edit in rows:
            print(f"  {slug:16s} right {right:.3f}  edit {edit:.3f}")


if __name__ == "__main__":
    main()
