"""Which faults count for "any fault": those that are unusual in the reference."""

from __future__ import annotations

import numpy as np

from monitor.detection.columns.categories import Categories
from monitor.detection.columns.flags import ANY_FAILURE, FlagKind
from monitor.detection.columns.watched_columns import WatchedColumns
from monitor.features.base import FeatureSpec, Kind

NAMES = ("output.format.truncated", "output.length.empty", "output.placeholder.unfilled")
SPECS = [FeatureSpec(name, Kind.FLAG, name, failure=True) for name in NAMES]
NONE = Categories({})


def rows(n: int, **rates: float) -> np.ndarray:
    """Compressed flags (n, 3), each true in a share of the first rows."""
    values = np.zeros((n, len(NAMES)))
    for j, name in enumerate(NAMES):
        values[: round(rates.get(name.rsplit(".", 1)[1], 0.0) * n), j] = np.log1p(1.0)
    return values


def any_fault(columns: WatchedColumns, values: np.ndarray) -> list[float]:
    place = columns.flag_place(ANY_FAILURE, FlagKind.ANY_FAILURE)
    assert place is not None
    return columns.flag_rows(values, NAMES, NONE)[:, place].tolist()


def test_a_fault_that_is_usual_in_the_reference_says_nothing_of_the_others() -> None:
    columns = WatchedColumns.learn(SPECS, rows(200, unfilled=0.03), NAMES, NONE)
    each = np.eye(3) * np.log1p(1.0)
    assert any_fault(columns, each) == [1.0, 1.0, 0.0]
    assert columns.flags[columns.flag_place(NAMES[2], FlagKind.DECLARED) or 0].failure, (
        "it stays a fault, with bets on itself"
    )


def test_a_fault_in_one_event_of_a_hundred_is_unusual() -> None:
    columns = WatchedColumns.learn(SPECS, rows(200, unfilled=0.01), NAMES, NONE)
    assert any_fault(columns, np.eye(3) * np.log1p(1.0)) == [1.0, 1.0, 1.0]


def test_which_faults_are_usual_is_kept_in_snapshots_and_no_fault_is_in_those_of_before() -> None:
    columns = WatchedColumns.learn(SPECS, rows(200, unfilled=0.03), NAMES, NONE)
    state = columns.to_state()
    assert WatchedColumns.from_state(state).flags == columns.flags
    state.usual = []
    assert any_fault(WatchedColumns.from_state(state), np.eye(3) * np.log1p(1.0)) == [1.0, 1.0, 1.0]


def test_one_unusual_fault_alone_needs_no_flag_for_any() -> None:
    columns = WatchedColumns.learn(SPECS, rows(200, unfilled=0.03, empty=0.5), NAMES, NONE)
    assert columns.flag_place(ANY_FAILURE, FlagKind.ANY_FAILURE) is None
