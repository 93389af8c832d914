"""State as plain data: arrays as dtype, shape and bytes, so that a snapshot holds no code and restores bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.errors import StateError


def pack(array: NDArray[Any]) -> list[Any]:
    """An array as [dtype, shape, bytes], little-endian, C order."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    return [little.dtype.str, list(little.shape), little.tobytes()]


def unpack(plain: list[Any]) -> NDArray[Any]:
    """The array that `pack` took apart, writable."""
    try:
        dtype, shape, data = plain
        return np.frombuffer(data, dtype=np.dtype(dtype)).reshape(shape).copy()
    except (TypeError, ValueError) as wrong:
        raise StateError(f"snapshot holds an array that cannot be read: {wrong}") from wrong
