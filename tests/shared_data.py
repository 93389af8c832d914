"""Where the real data sets live that some tests and benchmarks read.

They lie beside the checkout (`../shared/data`), or where `OQM_SHARED_DATA` says. On a machine without them the tests
that need them skip and say so; with `OQM_REQUIRE_SHARED=1`, as in `.ci/run`, they fail instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def shared_root() -> Path:
    """The folder of the shared data sets, whether or not it is there."""
    return Path(os.environ.get("OQM_SHARED_DATA") or _BESIDE_CHECKOUT)


def shared(name: str) -> Path:
    """The data set of this name; skips the calling test (or fails it, `OQM_REQUIRE_SHARED=1`) where it is absent."""
    path = shared_root() / name
    if path.is_file():
        return path
    missing = f"{name} is not in {shared_root()} (set OQM_SHARED_DATA to the folder that holds it)"
    if os.environ.get("OQM_REQUIRE_SHARED") == "1":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)
