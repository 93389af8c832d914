"""What is compiled does what the formulas say, written out in numpy."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection.columns.normal_scores import RankMap, compress
from monitor.detection.evidence.directional_bet import FORGETTING_RATES, STEP, ZONE_JOINT, DirectionalBet
from monitor.detection.evidence.shiryaev_roberts import Evidence
from monitor.detection.reference.moments import CLIP, PLACES, log_tilts
from monitor.detection.reference.views import Joint
from monitor.detection.state import jit as module
from tests.detection.diagnosis.test_shift import reference

Array = NDArray[np.float64]


def log_bets(joint: Joint, u: Array, counts: Array) -> Array:
    """The directional bets of one view, row by row."""
    rates = FORGETTING_RATES[:, None]
    m = u.shape[1]
    threshold = 0.5 * np.sqrt(rates / (2 - rates) * joint.long_run * 2 * np.log(m))
    mean = np.zeros((len(FORGETTING_RATES), m))
    out = []
    for scores, count in zip(u, counts, strict=True):
        tilt = np.clip(np.sign(mean) * np.maximum(np.abs(mean) - threshold, 0) / joint.long_run, -1, 1)
        gain = tilt @ scores - np.abs(tilt) @ (ZONE_JOINT + joint.error)
        gain -= (tilt * tilt) @ joint.long_run / 2 + (tilt @ joint.axes) ** 2 @ joint.extra / 2
        out.append(np.clip(gain, *STEP))
        mean += rates * (scores * count - mean)
    return np.asarray(out)


@given(seed=st.integers(0, 10_000), m=st.integers(2, 40), cut=st.integers(1, 99))
def test_directional_bets_are_those_of_the_formula(seed: int, m: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(m, min(m, 3))))[0]
    parts = (np.eye(m), rng.uniform(1, 3, m), axes, rng.uniform(0, 4, axes.shape[1]), rng.uniform(0, 0.1, m))
    joint = Joint(*(part.astype(np.float32) for part in parts))
    u, counts = rng.normal(0.6, 1, (100, m)).astype(np.float32), rng.choice([1.0, 0.5], 100).astype(np.float32)
    bet = DirectionalBet(joint)
    bets = np.concatenate([bet.log_bets(u[:cut], counts[:cut]), bet.log_bets(u[cut:], counts[cut:])])
    np.testing.assert_allclose(bets, log_bets(joint, u.astype(float), counts.astype(float)), atol=1e-4)


@pytest.mark.parametrize("missing", [False, True])
def test_evidence_of_single_numbers_and_flags_is_that_of_the_formula(missing: bool) -> None:
    rng = np.random.default_rng(3)
    normal = reference(rng.normal(size=1024))
    rows = 50
    y = np.stack([rng.normal(0.3, 1.5, rows) * 2, (rng.random(rows) < 0.1).astype(float)], axis=1)
    counts = rng.choice([1.0, 0.5, 0.25], rows)
    absent = rng.random((rows, 1)) < 0.2 if missing else None
    evidence = Evidence(normal.outputs, normal.mean)
    directional = [DirectionalBet(joint) for joint in normal.outputs.joints]
    centred = (y - normal.mean).astype(np.float32)
    logs = [bet.log_bets(bet.whitened(centred), counts.astype(np.float32)).astype(float) for bet in directional]
    single = log_tilts(np.clip(y[:, :1], -CLIP, CLIP))[:, :, 0] - normal.outputs.singles.log_norm[:, 0]
    if absent is not None:
        single = np.where(absent, np.minimum(single, 0), single)
    bets = evidence._flags
    flags = np.log(np.where(y[:, bets.columns] == 1, (bets.miss + bets.hit).astype(float), bets.miss.astype(float)))
    growth = np.exp(np.concatenate([*logs, single, flags], axis=1) * counts[:, None])
    assert growth.shape[1] == len(evidence.sums) == 3 * len(directional) + len(PLACES) + len(bets.columns)
    sums = np.zeros(growth.shape[1])
    expected = []
    for each in growth:
        sums = (1 + sums) * each
        expected.append(sums @ evidence.weights.astype(float))
    path = evidence.block(y, counts, [()] * rows, absent)
    np.testing.assert_allclose(path, expected, rtol=1e-4)


@given(seed=st.integers(0, 10_000), rows=st.integers(1, 200), distinct=st.integers(1, 300))
def test_scores_lie_on_the_lines_between_knots(seed: int, rows: int, distinct: int) -> None:
    rng = np.random.default_rng(seed)
    learned = compress(rng.choice(rng.lognormal(3, 2, distinct), (400, 2)) * [1, -1])
    ranks = RankMap.learn(learned)
    values = compress(rng.lognormal(3, 3, (rows, 2)) * rng.choice([1, -1], (rows, 2)))
    values[rng.random(values.shape) < 0.1] = np.nan
    values[rng.random(values.shape) < 0.05] = np.inf
    for column, scores in enumerate(ranks.scores(values).T):
        x = values[:, column].astype(float)
        expected = np.where(np.isfinite(x), np.interp(x, *ranks.knots(column)), 0.0)
        np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_what_cannot_be_kept_is_compiled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numba.njit
    asked = []

    def nowhere(function: object, *, cache: bool, **options: object) -> object:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return plain(function, **options)

    monkeypatch.setattr(numba, "njit", nowhere)

    @module.compiled
    def twice(x: float) -> float:
        return 2 * x

    assert twice(2.0) == 4.0
    assert asked == [True, False]
