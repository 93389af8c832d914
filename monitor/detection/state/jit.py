"""JIT compilation of the per-row loops (Numba: Lam, Pitrou, Seibert 2015).

The evidence recursions are sequential: row t depends on the state after row t - 1, so NumPy would need one call per
row. Functions are compiled on their first call with arguments of new types (about a second) and cached on disk, beside
their module or in `NUMBA_CACHE_DIR`. `fastmath` permits reassociation within a row only, so results do not depend on
how rows are batched.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The function, compiled for the types of its arguments. NaN and infinity are what they are in numpy."""

    @cache
    def dispatcher() -> Callable[P, R]:
        try:
            return _njit(function, keep=True)
        except RuntimeError:  # nowhere to keep it, as in a container without a folder to write to
            return _njit(function, keep=False)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        return dispatcher()(*args, **kwargs)

    return call


def _njit(function: Callable[P, R], *, keep: bool) -> Callable[P, R]:
    import numba  # half a second and a hundred megabytes, only for processes that judge rows

    made = numba.njit(function, cache=keep, fastmath={"reassoc", "contract"}, error_model="numpy")
    return cast(Callable[P, R], made)
