"""Evidence on the shape of a number, and on faults together."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection.evidence import Evidence
from monitor.detection.stream_monitor import LEAST_BLOCK
from tests.detection.streams import Column, fired, one_column, replay, watch
from tests.detection.test_change import reference

NARROWER, WIDER = 0.5, 1.8


def of_spread(spread: float, seed: int) -> Column:
    rng = np.random.default_rng(seed)
    z = rng.normal(size=1600)
    z[900:] *= spread
    return np.exp(6 + 0.5 * z)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("spread", [NARROWER, WIDER])
def test_a_change_of_spread_alone_is_found(spread: float, seed: int) -> None:
    found = fired(replay(watch(), one_column(of_spread(spread, seed))))
    assert found
    assert 900 <= found[0].raised_at.index < 1300


@pytest.mark.parametrize("seed", range(4))
def test_the_same_spread_is_no_change(seed: int) -> None:
    assert not fired(replay(watch(), one_column(of_spread(1.0, seed))))


def test_missing_values_are_no_narrower_spread() -> None:
    normal = reference(np.random.default_rng(5).normal(size=1024))
    rows = np.zeros((LEAST_BLOCK, 2))
    seen, unseen = (Evidence(normal.outputs, normal.mean) for _ in range(2))
    missing = np.ones((LEAST_BLOCK, 1), dtype=bool)
    for _ in range(8):
        seen.block(rows, np.ones(LEAST_BLOCK), [()] * LEAST_BLOCK)
        unseen.block(rows, np.ones(LEAST_BLOCK), [()] * LEAST_BLOCK, missing)
    assert seen.total() > 1e5  # all at the median: certainly narrower
    assert unseen.total() <= 8 * LEAST_BLOCK


def test_evidence_says_which_kinds_of_it_told() -> None:
    normal = reference(np.random.default_rng(6).normal(size=1024))
    evidence = Evidence(normal.outputs, normal.mean)
    rows = np.stack([np.random.default_rng(7).normal(size=LEAST_BLOCK), np.ones(LEAST_BLOCK)], axis=1)
    evidence.block(rows, np.ones(LEAST_BLOCK), [()] * LEAST_BLOCK)
    assert evidence.told() == {"failure"}
