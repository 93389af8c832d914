"""Bets on flags are fair where nothing changes: faults at usual rates, and skewed flags in the whitened view."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.detection.columns.flags import ANY_FAILURE, Flag, FlagKind
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.detection.evidence.directional_bet import DirectionalBet
from monitor.detection.reference.learned_reference import LearnedReference, marks_of
from monitor.detection.reference.reference import Reference
from monitor.detection.reference.views import Joint
from monitor.features.base import FeatureSpec, Kind
from tests.detection.streams import read_again

FLAG, FAULT = "output.format.closing_boilerplate", "output.format.truncated"


def learned(flags: NDArray[np.float64], *, fault: bool) -> Reference:
    """A reference of one flag, from its rows (n, 1)."""
    layout = WatchedColumns([], [Flag(FAULT if fault else FLAG, FlagKind.DECLARED, failure=fault)], 0 if fault else 1)
    n = len(flags)
    marks = marks_of(np.arange(n, dtype=np.uint64))
    return LearnedReference.learn(layout, np.empty((n, 0), np.float16), flags, [()] * n, marks, 1).reference


@pytest.mark.parametrize("rate", [0.05, 0.15, 0.3])
@pytest.mark.parametrize("rows", [200, 400])
def test_few_references_bound_a_fault_below_its_rate(rate: float, rows: int) -> None:
    """A bound below the true rate wins without a change; at the level of rare faults 40 of 100 were."""
    rng = np.random.default_rng(1)
    below = 0
    for _ in range(200):
        reference = learned((rng.random((rows, 1)) < rate).astype(np.float64), fault=True)
        below += int(reference.outputs.failures.upper[0] < rate)
    assert below <= 0.2 * 200


def test_the_bound_of_a_rare_fault_stays_close_to_its_rate() -> None:
    flags = np.zeros((1000, 1))
    flags[::100] = 1  # one in a hundred
    upper = learned(flags, fault=True).outputs.failures.upper[0]
    assert 0.01 < upper < 0.018


@pytest.mark.parametrize("rate", [0.06, 0.15, 0.85])
def test_bets_on_a_skewed_flag_in_the_whitened_view_are_fair(rate: float) -> None:
    flags = np.zeros((2000, 1))
    flags[: round(2000 * rate)] = 1
    reference = learned(np.random.default_rng(3).permutation(flags), fault=False)
    (joint,) = reference.outputs.joints
    joint.error = np.zeros_like(joint.error)
    u = (np.asarray([[0.0], [1.0]]) - rate) @ joint.project

    def growth(joint: Joint, tilt: float) -> float:
        """The mean factor by which the fastest bet on one row grows evidence, from this lean."""
        bet = DirectionalBet(joint)
        factors = []
        for score in u:
            bet.recent[:] = tilt
            factors.append(float(np.exp(bet.log_bets(score[None].astype(np.float32), np.ones(1, np.float32))[0, 0])))
        return (1 - rate) * factors[0] + rate * factors[1]

    as_normal = Joint(joint.project, joint.long_run, joint.axes, joint.extra, joint.error)
    tilts = (0.4, 0.8, 1.5) if rate < 0.5 else (-0.4, -0.8, -1.5)
    assert all(growth(joint, tilt) <= 1.0 for tilt in tilts)
    assert growth(as_normal, tilts[-1]) > 1.05
    assert Joint.from_state(read_again(joint.to_state())).skew == pytest.approx(joint.skew)
    assert Joint.from_state(read_again(as_normal.to_state())).skew is None  # as snapshots of earlier versions have it


def test_faults_do_not_join_the_whitened_view() -> None:
    """A fault as common as a flag does not; neither do rare ones, which together make the flag of any fault."""
    specs = [
        FeatureSpec(FAULT, Kind.FLAG, "", failure=True),
        FeatureSpec("output.length.empty", Kind.FLAG, "", failure=True),
        FeatureSpec("output.format.refused", Kind.FLAG, "", failure=True),
        FeatureSpec(FLAG, Kind.FLAG, ""),
    ]
    rng = np.random.default_rng(1)
    values = np.log1p((rng.random((400, 4)) < (0.15, 0.005, 0.005, 0.15)).astype(np.float64))

    class NoCategories:
        columns: dict[str, list[str]] = {}  # noqa: RUF012

    layout = WatchedColumns.learn(specs, values, tuple(spec.name for spec in specs), NoCategories())  # type: ignore[arg-type]
    assert [flag.feature for flag in layout.flags[: layout.common]] == [FLAG]
    assert ANY_FAILURE in {flag.feature for flag in layout.flags}
