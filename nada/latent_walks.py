"""Smooth closed walks through W, for films.

Legend: K key latents, F frames, L style layers, W_DIM latent width.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from nada.errors import ShapeError

MIN_KEYS = 3  # fewer make no closed curve


def closed_walk(ws: Tensor, num_frames: int) -> Tensor:
    """A closed cubic spline through key latents; speed and its change are continuous, at the seam as well.

    Args:
        ws: key latents, [K, L, W_DIM], K >= 3, in the order in which they are passed.
        num_frames: F >= K; frame 0 is the first key, and the frame after the last would be the first again.

    Returns:
        [F, L, W_DIM] on the device of `ws`.

    Raises:
        ShapeError: too few keys or frames.
    """
    keys = ws.shape[0]
    if ws.ndim != 3 or keys < MIN_KEYS or num_frames < keys:
        raise ShapeError(f"walk: {list(ws.shape)} keys and {num_frames} frames; needs [K >= {MIN_KEYS}, L, W_DIM]")
    closed = torch.cat([ws, ws[:1]]).double().cpu().numpy()
    curve = CubicSpline(np.arange(keys + 1), closed, axis=0, bc_type="periodic")
    frames = curve(np.arange(num_frames) * (keys / num_frames))
    return torch.from_numpy(frames).to(ws)


def round_trip(num_stations: int, num_frames: int) -> list[tuple[int, int, float]]:
    """For each frame of a round trip: the station it leaves, the one it nears, and how near it is, in [0, 1].

    Half of each leg rests at its station; the other half eases from one to the next, without a jump in speed.

    >>> [(leaves, nears, round(share, 2)) for leaves, nears, share in round_trip(2, 8)]
    [(0, 1, 0.0), (0, 1, 0.0), (0, 1, 0.0), (0, 1, 0.5), (1, 0, 0.0), (1, 0, 0.0), (1, 0, 0.0), (1, 0, 0.5)]
    """
    trip = []
    for frame in range(num_frames):
        leg, along = divmod(frame * num_stations / num_frames, 1.0)
        moved = max(0.0, 2 * along - 1)
        trip.append((int(leg), (int(leg) + 1) % num_stations, moved * moved * (3 - 2 * moved)))
    return trip
