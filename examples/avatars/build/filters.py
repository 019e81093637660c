"""Image filters that make true target domains out of any portraits.

Every filter takes bytes [N, H, W, 3] and returns bytes of the same shape; equal input gives equal output.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
Floats = NDArray[np.float32]
Filter = Callable[[Images], Images]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Weights of red, green and blue in perceived lightness (ITU-R BT.601)."""

TILE_PX = 4
POSTER_INKS = ((28, 12, 92), (232, 16, 120), (0, 178, 226), (255, 228, 30))
"""Inks of the pop-art poster, from the darkest tone to the lightest."""

POSTER_TONES = (85, 140, 180)
"""Tones, of 255, at which one ink of the poster gives way to the next."""

OUTLINE_EDGE = 80
"""Strength of an edge, of 255, that the poster outlines."""


def _bytes(values: Floats) -> Images:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _luma(images: Images) -> Floats:
    """Lightness in [0, 255], [N, H, W]."""
    luma: Floats = images.astype(np.float32) @ LUMA
    return luma


def _blur(values: Floats, passes: int = 1) -> Floats:
    """Binomial blur (1 2 1) along both picture axes of [N, H, W], edges repeated."""
    for _ in range(passes):
        padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
        values = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
    return values


def _edges(images: Images) -> Floats:
    """Strength of colour edges in [0, 255], the strongest of the three channels, [N, H, W]."""
    values = images.astype(np.float32)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    across = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
    down = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
    strength: Floats = np.sqrt(across**2 + down**2).max(axis=-1)
    return np.minimum(strength, 255)


def _duotone(images: Images, dark: tuple[int, int, int], light: tuple[int, int, int]) -> Images:
    """Lightness mapped onto the straight line between two colours."""
    tone = _luma(images)[..., None] / 255
    low, high = np.array(dark, np.float32), np.array(light, np.float32)
    return _bytes(low + tone * (high - low))


def black_and_white(images: Images) -> Images:
    """Greys, with a little more contrast than the picture had."""
    tone = 128 + 1.25 * (_luma(images) - 140)
    return _bytes(np.repeat(tone[..., None], 3, axis=-1))


def sepia(images: Images) -> Images:
    """Brown tones of an old photograph."""
    return _duotone(images, (38, 18, 4), (238, 204, 150))


def negative(images: Images) -> Images:
    """Every colour turned into its opposite."""
    return 255 - images


def blue_tint(images: Images) -> Images:
    """Tones of one strong blue."""
    return _duotone(images, (2, 6, 70), (120, 190, 255))


def red_tint(images: Images) -> Images:
    """Tones of one strong red."""
    return _duotone(images, (60, 0, 4), (255, 120, 105))


def pencil_sketch(images: Images) -> Images:
    """Grey lines on paper; dark areas are hatched along one diagonal."""
    height, width = images.shape[1:3]
    luma = _blur(_luma(images))
    lines = np.clip(_edges(images) * 1.1, 0, 215)
    diagonal = (np.arange(height)[:, None] + np.arange(width)[None]) % 4 < 2
    darkness = np.clip((165 - luma) / 165, 0, 1)
    hatching = np.where(diagonal, 150 * darkness, 25 * darkness)
    tone = 248 - np.maximum(lines, hatching)
    return _bytes(tone[..., None] * np.array([1.0, 0.995, 0.975], np.float32))


def mosaic(images: Images) -> Images:
    """Square tiles of one colour each, with dark joints between them."""
    count, height, width, _ = images.shape
    tiles = images.reshape(count, height // TILE_PX, TILE_PX, width // TILE_PX, TILE_PX, 3)
    colours = tiles.astype(np.float32).mean(axis=(2, 4))
    full = colours.repeat(TILE_PX, axis=1).repeat(TILE_PX, axis=2)
    full[:, ::TILE_PX] = 45
    full[:, :, ::TILE_PX] = 45
    return _bytes(full)


def pop_art(images: Images) -> Images:
    """A poster printed in four loud inks, one for each range of tones, outlined in the darkest."""
    tone = _blur(_luma(images))
    level = np.where(_edges(images) > OUTLINE_EDGE, 0, np.digitize(tone, POSTER_TONES))
    return np.array(POSTER_INKS, dtype=np.uint8)[level]


def neon(images: Images) -> Images:
    """Glowing outlines in saturated colours on black."""
    edges = np.clip(_edges(images) * 1.4, 0, 255)
    glow = np.maximum(edges, 1.3 * _blur(edges, passes=4))
    values = np.stack([_blur(images[..., c].astype(np.float32), passes=3) for c in range(3)], axis=-1)
    low, high = values.min(axis=-1, keepdims=True), values.max(axis=-1, keepdims=True)
    colour = (values - low) / np.maximum(high - low, 1)
    height = np.linspace(0, 1, images.shape[1], dtype=np.float32)[None, :, None, None]
    top, bottom = np.array([1.0, 0.1, 0.9], np.float32), np.array([0.1, 0.95, 1.0], np.float32)
    tube = (1 - height) * top + height * bottom
    return _bytes(glow[..., None] * (0.35 * colour + 0.75 * tube))


def night(images: Images) -> Images:
    """Little light, cold colours, and the corners in the dark."""
    height, width = images.shape[1:3]
    rows = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, width, dtype=np.float32)[None]
    light = np.clip(1.05 - 0.55 * (rows**2 + columns**2), 0.12, 1)[None, ..., None]
    grey = _luma(images)[..., None]
    muted = 0.5 * images + 0.5 * grey
    return _bytes(muted * light * np.array([0.30, 0.34, 0.60], np.float32))


FILTERS: dict[str, Filter] = {
    "pencil": pencil_sketch,
    "bw": black_and_white,
    "sepia": sepia,
    "mosaic": mosaic,
    "negative": negative,
    "popart": pop_art,
    "neon": neon,
    "blue": blue_tint,
    "red": red_tint,
    "night": night,
}
