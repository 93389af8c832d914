"""Fixed bets on single numbers: that their level is higher or lower, and their spread wider or narrower. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.detection.reference.moments import CLIP, GRAIN
from monitor.detection.reference.views import Array32
from monitor.detection.state.jit import compiled

NONE_MISSING = np.zeros((0, 0), dtype=np.bool_)
"""Says that no number is missing in any row."""


@compiled
def exponents(z: Array32, columns: NDArray[np.intp]) -> Array32:
    """A grain of each of these columns' scores, and of their squares (2, rows, k), of rows z (rows, d)."""
    clip, grain = np.float32(CLIP), np.float32(GRAIN)
    out = np.empty((2, len(z), len(columns)), dtype=np.float32)
    for row in range(len(z)):
        for i in range(len(columns)):
            score = min(max(z[row, columns[i]], -clip), clip)
            out[0, row, i] = grain * score
            out[1, row, i] = grain * score * score
    return out


@compiled
def bet_on_numbers(
    place: Array32, spread: Array32, missing: NDArray[np.bool_], normed: Array32, out: Array32, first: int
) -> None:
    """Write what the fixed bets on single numbers multiply by to `out` (rows, bets), from its column `first` on.

    `place` and `spread` (rows, k) are e^z and e^(z^2) of the scores z, a grain of each: a bet multiplies by the powers
    that `PLACES` and `SPREADS` say, written out here as few products, and by its share of `normed` (bets, k). Where a
    number is `missing` (rows, k; empty if none is), the score 0 stands in its place, and no bet on a narrower spread
    may take it for evidence.
    """
    rows, k = place.shape
    bets = len(normed)
    one = np.float32(1)
    for row in range(rows):
        to = out[row, first : first + bets * k].reshape(bets, k)
        for i in range(k):
            up, wide = place[row, i], spread[row, i]
            down, narrow = one / up, one / wide
            up3, down3 = up * up * up, down * down * down
            up6, down6 = up3 * up3, down3 * down3
            up7, down7 = up6 * up, down6 * down
            up14, down14 = up7 * up7, down7 * down7
            wide3 = wide * wide * wide
            narrow2 = narrow * narrow
            narrow8 = narrow2 * narrow2 * narrow2 * narrow2
            narrow10 = narrow8 * narrow2
            to[0, i] = up3 * normed[0, i]
            to[1, i] = up7 * normed[1, i]
            to[2, i] = up14 * normed[2, i]
            to[3, i] = down3 * normed[3, i]
            to[4, i] = down7 * normed[4, i]
            to[5, i] = down14 * normed[5, i]
            to[6, i] = up14 * up * up * narrow10 * normed[6, i]
            to[7, i] = narrow8 * normed[7, i]
            to[8, i] = down14 * down * down * narrow10 * normed[8, i]
            to[9, i] = up6 * wide3 * normed[9, i]
            to[10, i] = wide3 * wide * normed[10, i]
            to[11, i] = down6 * wide3 * normed[11, i]
        if missing.size:
            for i in range(k):
                if missing[row, i]:
                    for bet in range(bets):
                        to[bet, i] = min(to[bet, i], one)
