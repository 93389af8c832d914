"""Evidence on the shape of a number, and on faults together."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection.evidence.shiryaev_roberts import Evidence
from monitor.detection.stream.blocks import LEAST_BLOCK
from tests.detection.diagnosis.test_shift import reference
from tests.detection.streams import Column, fired, one_column, replay, watch

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


def test_evidence_says_which_kinds_of_it_reacted() -> None:
    normal = reference(np.random.default_rng(6).normal(size=1024))
    evidence = Evidence(normal.outputs, normal.mean)
    rows = np.stack([np.random.default_rng(7).normal(size=LEAST_BLOCK), np.ones(LEAST_BLOCK)], axis=1)
    evidence.block(rows, np.ones(LEAST_BLOCK), [()] * LEAST_BLOCK)
    assert evidence.active_kinds() == {"failure"}


@pytest.mark.parametrize("rows", [1, 7, 8, 33, 256])
def test_a_block_gives_what_its_rows_give_one_by_one(rows: int) -> None:
    rng = np.random.default_rng(rows)
    normal = reference(rng.normal(size=1024))
    y = np.stack([rng.normal(0.1, 1.0, rows), (rng.random(rows) < 0.03).astype(float)], axis=1)
    counts = rng.choice([1.0, 0.5, 0.25], rows)
    missing = rng.random((rows, 1)) < 0.1
    together, alone = (Evidence(normal.outputs, normal.mean) for _ in range(2))
    for _ in range(2):  # from nothing, and from what is there
        path = together.block(y, counts, [()] * rows, missing)
        steps = [alone.block(*(part[i : i + 1] for part in (y, counts)), [()], missing[i : i + 1]) for i in range(rows)]
        np.testing.assert_allclose(path, np.concatenate(steps), rtol=1e-5)
    np.testing.assert_allclose(together.sums, alone.sums, rtol=1e-5)


def test_evidence_stays_finite_however_certain_it_is() -> None:
    normal = reference(np.random.default_rng(8).normal(size=1024))
    evidence = Evidence(normal.outputs, normal.mean)
    rows = np.ones((256, 2)) * 4.0
    with np.errstate(all="raise", under="ignore", over="ignore"):
        for _ in range(20):
            path = evidence.block(rows, np.ones(256), [()] * 256)
    assert not np.isnan(path).any()
    assert np.isfinite(evidence.total())
    assert evidence.total() > 1e12
