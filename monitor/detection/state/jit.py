"""Loops over a block's rows, compiled.

Evidence goes from row to row: what a bet earns depends on where the rows before it leaned, and a sum on the sum before
it. In numpy such a loop costs a call for each step, most of all in small blocks, or algebra that works out many steps
at once. Numba (Lam, Pitrou, Seibert 2015) compiles the loop as it is written.

A function is compiled when it is first called with arguments of its types, which takes about a second, and is kept
beside its module or in the user's cache (`NUMBA_CACHE_DIR`), so that this happens once on a machine. Sums over a row's
columns may be taken in any order, but always in the same; how rows are cut into batches is nothing to a row.
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
    import numba  # half a second and a hundred megabytes, for those who judge rows

    made = numba.njit(function, cache=keep, fastmath={"reassoc", "contract"}, error_model="numpy")
    return cast(Callable[P, R], made)
