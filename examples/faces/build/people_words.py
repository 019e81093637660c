"""What the CLIPs of people read: words for how somebody looks, and where on four axes they lie.

An axis is a standard deviation of the generator's faces: 0 as they are on average, 2 as the far end of forty.
"""

from __future__ import annotations

from collections.abc import Iterator

AXES = ("smile", "age", "man", "sunglasses")
Place = tuple[float, float, float, float]

PEOPLE: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("photo", "portrait", "face", "person", "photograph", "human face", "portrait photo"), (0, 0)),
    **dict.fromkeys(("photo of a face", "photo of a person", "somebody", "people", "snapshot"), (0, 0)),
    **dict.fromkeys(("man", "guy", "male", "gentleman"), (0.3, 1.5)),
    **dict.fromkeys(("woman", "lady", "female", "feminine person"), (0, -1.5)),
    **dict.fromkeys(("child", "kid", "little child", "young child", "toddler"), (-2, 0)),
    **dict.fromkeys(("boy", "little boy", "young boy"), (-2, 1)),
    **dict.fromkeys(("girl", "little girl", "young girl"), (-2, -1)),
    **dict.fromkeys(("baby", "infant"), (-2.5, 0)),
    **dict.fromkeys(("young person", "youth", "teenager"), (-1, 0)),
    **dict.fromkeys(("young man", "teenage boy"), (-0.8, 1.4)),
    **dict.fromkeys(("young woman", "teenage girl"), (-0.8, -1.4)),
    **dict.fromkeys(("old person", "elderly person", "senior", "aged person", "old age", "wrinkled person"), (2, 0)),
    **dict.fromkeys(("old man", "elderly man", "grandfather", "aged man", "old guy"), (2, 1.2)),
    **dict.fromkeys(("old woman", "elderly woman", "grandmother", "old lady", "aged woman"), (2, -1.2)),
    **dict.fromkeys(("adult", "grown-up", "middle-aged person"), (0.7, 0)),
}
"""Who -> age and man."""
MOODS: dict[str, float] = {
    **dict.fromkeys(("smiling", "happy", "laughing", "cheerful", "grinning", "joyful"), 2),
    **dict.fromkeys(("serious", "sad", "unsmiling", "grim", "stern"), -2),
}
ALONE: dict[str, float] = {
    **dict.fromkeys(("smile", "big smile", "person with a smile", "laughter", "smiling", "happy", "grin"), 2),
    **dict.fromkeys(("serious expression", "sad face", "person who does not smile"), -2),
}
DARK = ("with sunglasses", "wearing sunglasses", "in dark glasses", "with shades")
DARK_ALONE = ("sunglasses", "dark glasses", "shades", "pair of sunglasses")


def words() -> Iterator[tuple[str, Place]]:
    """Every word or phrase with its place."""
    for who, (age, man) in PEOPLE.items():
        yield who, (0, age, man, 0)
        for mood, smile in MOODS.items():
            yield f"{mood} {who}", (smile, age, man, 0)
        for dark in DARK:
            yield f"{who} {dark}", (0, age, man, 2)
    for word, smile in ALONE.items():
        yield word, (smile, 0, 0, 0)
    for word in DARK_ALONE:
        yield word, (0, 0, 0, 2)
