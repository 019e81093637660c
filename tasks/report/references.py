"""A few of a row's reference pictures, to lay beside what it draws."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nada.errors import NadaError

# Decoded as for the judge, and bounded as there, but without torch: whoever writes a page has no other need of it.
from nada.picture_files import _decode_all, _to_square
from nada.picture_sets import find_pictures


def reference_pictures(path: str, resolution: int, count: int) -> list[Image.Image]:
    """Some of a set, from all over it: neighbours by name are often alike.

    Args:
        path: folder or zip, as the CSV names it.
        resolution: side of each result, in pixels.
        count: pictures, at most.

    Returns:
        None of them where the set is no longer there, or one cannot be read: the page tells of the row all the same.
    """
    try:
        names = find_pictures(Path(path)).names
        chosen = names[:: max(1, len(names) // count)][:count]
        decoded = list(_decode_all(Path(path), chosen))
    except (NadaError, OSError):
        return []
    pictures = [_to_square(image, resolution) for image in decoded if isinstance(image, Image.Image)]
    return pictures if len(pictures) == len(chosen) else []
