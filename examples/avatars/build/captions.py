"""Captions of portraits: what the two small CLIPs learn to read.

A caption says what kind of portrait it is (the drawing style), what was done to it (the filter or the damage), or
only one of the two, in one of CLIP's 79 ImageNet templates. A `ScoreInfo` records what the words claim, so that two
captions with equal meaning count as the same, and a caption that also fits another image is not held against it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CARTOON = "cartoon"
"""The kind of both big-ears sets: the full one and the restricted source domain."""

KIND_OF_STYLE = {"source": CARTOON, "bigEars": CARTOON}
ANY = "*"
PLAIN = "plain"
"""The filter of an untouched image."""

NOUNS: dict[str, list[str]] = {
    CARTOON: ["cartoon portrait", "cartoon portrait", "cartoon face", "cartoon", "big ears cartoon", "cartoon person"],
    "adventurer": ["comic adventurer", "adventurer portrait", "adventurer"],
    "avataaars": ["flat avatar", "vector avatar", "avatar with shoulders"],
    "bigSmile": ["big smile", "grinning face", "laughing face"],
    "bottts": ["robot", "robot", "robot portrait", "robot face", "robot head", "android"],
    "croodles": ["doodle", "doodle", "doodle portrait", "doodle face", "scribble", "scribbled face"],
    "dylan": ["sticker face", "sticker portrait", "sticker"],
    "funEmoji": ["emoji", "emoji", "emoji face", "emoticon", "smiley"],
    "lorelei": ["manga portrait", "manga", "manga face", "ink drawing", "ink portrait"],
    "micah": ["modern illustration", "illustrated portrait", "illustration"],
    "miniavs": ["toy figure", "miniature person", "toy portrait"],
    "notionists": ["line drawing", "line drawing", "line drawing of a person", "black line portrait"],
    "openPeeps": ["comic book character", "comic portrait", "hand-drawn person"],
    "personas": ["clay figure", "clay portrait", "clay person"],
    "pixelArt": ["pixel art", "pixel art", "pixel art portrait", "pixel art face", "8-bit character"],
    "thumbs": ["thumb", "thumb with a face", "ghost", "ghost face"],
    "toonHead": ["toon head", "toon character", "toon"],
}

BARE = ["portrait", "portrait", "face", "picture", "drawing", "avatar", "person"]

ADJECTIVES: dict[str, list[str]] = {
    "pencil": ["pencil-drawn", "sketched", "pencil", "hatched"],
    "bw": ["black and white", "black and white", "monochrome", "grey", "grayscale", "greyscale"],
    "sepia": ["sepia", "sepia", "brown-toned", "vintage sepia", "old brown"],
    "mosaic": ["mosaic", "tiled", "mosaic tile"],
    "negative": ["negative", "inverted", "colour-inverted", "color negative"],
    "popart": ["pop art", "pop art", "pop-art poster", "screen-printed"],
    "neon": ["neon", "neon", "neon light", "glowing", "glowing neon"],
    "blue": ["blue", "blue", "all blue", "blue-toned", "blue tinted"],
    "red": ["red", "red", "all red", "red-toned", "red tinted"],
    "night": ["night", "dark", "nighttime", "dark night", "dim"],
    "blurred": ["blurred", "blurry", "out of focus"],
    "noisy": ["noisy", "grainy"],
    "faded": ["faded", "washed out", "pale"],
    "warped": ["distorted", "warped", "melted"],
    "stained": ["stained", "smeared", "dirty"],
    "tinted": ["tinted", "oddly coloured"],
    "miscoloured": ["miscoloured", "wrongly coloured", "discoloured"],
    "broken": ["broken", "glitched", "corrupted"],
}

FORMS: dict[str, list[str]] = {
    "pencil": ["pencil sketch", "pencil sketch", "sketch", "pencil drawing"],
    "bw": ["black and white photo", "black and white portrait", "black and white picture"],
    "sepia": ["sepia photograph", "sepia portrait", "sepia picture"],
    "mosaic": ["mosaic", "mosaic", "mosaic of tiles", "tile mosaic"],
    "negative": ["negative", "negative", "photo negative", "colour negative", "inverted picture"],
    "popart": ["pop art poster", "pop art poster", "pop art", "screen print"],
    "neon": ["neon sign", "neon", "neon lights", "neon outline"],
    "blue": ["blue portrait", "blue picture"],
    "red": ["red portrait", "red picture"],
    "night": ["night", "night scene", "portrait at night", "dark night"],
}

HAIR_COLOURS = {
    "brown hair": ("#b58143", "#a55728", "#724133"),
    "black hair": ("#2c1b18", "#4a312c"),
    "white hair": ("#e8e1e1",),
    "blond hair": ("#ecdcbf", "#d6b370"),
    "red hair": ("#c93305",),
    "pink hair": ("#f59797",),
}
SKIN_COLOURS = {"dark skin": ("#89532c", "#a66637", "#c07f50"), "light skin": ("#f8b788", "#da9969")}
BACKGROUNDS = {
    "a pink background": ("#ffd5dc",),
    "a blue background": ("#b6e3f4",),
    "a green background": ("#d5ecc2",),
    "an orange background": ("#ffdfbf",),
    "a purple background": ("#c0aede",),
}
LENGTHS = ("long hair", "short hair")
DETAILS = (*HAIR_COLOURS, *SKIN_COLOURS, *BACKGROUNDS, *LENGTHS)

WITH_DETAIL = 0.35
"""Share of captions that name the kind and also a detail, where details are known."""

WITH_KIND = 0.6
"""Share of captions of a filtered image that also name its drawing style."""

BARE_SHARE = 0.1
"""Share of captions of an untouched image that only say 'portrait' or the like."""


@dataclass(frozen=True)
class ScoreInfo:
    """What a caption claims; `ANY` claims nothing, treatment `PLAIN` claims that nothing was done."""

    kind: str
    treatment: str
    detail: str = ANY

    def fits(self, seen: "Seen") -> bool:
        """Whether the claim is true of an image."""
        kind, detail = self.kind in (ANY, seen.kind), self.detail in (ANY, *seen.details)
        return self.treatment == seen.treatment and kind and detail


@dataclass(frozen=True)
class Seen:
    """What is true of an image: kind of drawing, what was done to it, and the details that are still visible."""

    kind: str
    treatment: str
    details: tuple[str, ...] = ()


def kind_of(style: str) -> str:
    """The kind of drawing that captions name for a style."""
    return KIND_OF_STYLE.get(style, style)


def _pick(words: list[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


def details_of(attributes: dict[str, object], treatment: str) -> tuple[str, ...]:
    """Details of a big-ears portrait from its attributes; a filter leaves only the length of the hair."""
    length = LENGTHS[0] if str(attributes.get("hair", "")).startswith("long") else LENGTHS[1]
    if treatment != PLAIN:
        return (length,)
    found = [length]
    tables = ((HAIR_COLOURS, "hairColor"), (SKIN_COLOURS, "skinColor"), (BACKGROUNDS, "primaryBackgroundColor"))
    for table, key in tables:
        found += [words for words, colours in table.items() if attributes.get(key) in colours]
    return tuple(found)


def describe(seen: Seen, rng: np.random.Generator) -> tuple[str, ScoreInfo]:
    """Words for an image, without template, and what they claim."""
    noun, detail = _pick(NOUNS[seen.kind], rng), ANY
    if seen.details and rng.random() < WITH_DETAIL:
        detail = _pick(list(seen.details), rng)
        noun = f"{noun} with {detail}"
    meaning = ScoreInfo(seen.kind, seen.treatment, detail)
    if seen.treatment == PLAIN:
        if rng.random() < BARE_SHARE:
            return _pick(BARE, rng), ScoreInfo(ANY, PLAIN)
        return noun, meaning
    forms, adjective = FORMS.get(seen.treatment, []), _pick(ADJECTIVES[seen.treatment], rng)
    use_form = bool(forms) and rng.random() < 0.5
    if rng.random() < WITH_KIND:
        return (f"{_pick(forms, rng)} of a {noun}" if use_form else f"{adjective} {noun}"), meaning
    bare = f"{adjective} {_pick(BARE, rng)}"
    return (_pick(forms, rng) if use_form else bare), ScoreInfo(ANY, seen.treatment)


def fit_matrix(meanings: list[ScoreInfo], seen: list[Seen]) -> NDArray[np.bool_]:
    """Which images (rows) make which captions (columns) true, [N, N]."""
    return np.array([[meaning.fits(image) for meaning in meanings] for image in seen])


def same_matrix(meanings: list[ScoreInfo]) -> NDArray[np.bool_]:
    """Which captions claim the same, [N, N]."""
    return np.array([[a == b for b in meanings] for a in meanings])
