"""Which values of later rows are new, and when new values are normal so that nothing is watched."""

from __future__ import annotations

import numpy as np

from monitor.detection.columns.known_values import MAX_KNOWN, NONE_NEW, KnownValues
from monitor.features.families.facts import STATED
from monitor.features.keyed import Keyed, with_key


def stating(*values: str) -> Keyed:
    return {with_key(STATED, value): 1.0 for value in values}


def closed(n: int = 200) -> list[Keyed]:
    return [stating("30 days") if row % 3 == 0 else stating("4.90 GBP") if row % 3 == 1 else {} for row in range(n)]


def test_a_new_value_is_named() -> None:
    known = KnownValues.of(closed())
    assert known is not None
    later = [stating("30 days"), stating("14 days"), {}, stating("4.90 GBP", "5 GBP")]
    assert known.new_values(later, learning=False) == [NONE_NEW, "14 days", NONE_NEW, "5 GBP"]


def test_in_the_reference_a_value_of_one_row_alone_is_new() -> None:
    rows = closed()
    rows[17] = stating("99 days")
    known = KnownValues.of(rows)
    assert known is not None
    assert [value for value in known.new_values(rows, learning=True) if value != NONE_NEW] == ["99 days"]
    assert known.new_values([stating("99 days")], learning=False) == [NONE_NEW]


def test_open_sets_are_not_watched() -> None:
    rng = np.random.default_rng(1)
    assert KnownValues.of([stating(f"{rng.integers(5, 400)} GBP") for _ in range(200)]) is None
    assert KnownValues.of([stating(f"{row // 2 % (2 * MAX_KNOWN)} GBP") for row in range(4 * MAX_KNOWN)]) is None


def test_a_set_that_moves_with_time_is_not_watched() -> None:
    assert KnownValues.of([stating(f"{row // 20} days") for row in range(200)]) is None


def test_few_values_say_nothing() -> None:
    assert KnownValues.of([stating("30 days") if row % 20 == 0 else {} for row in range(200)]) is None
    assert KnownValues.of([]) is None


def test_plain_data() -> None:
    known = KnownValues.of(closed())
    assert known is not None
    again = KnownValues.from_state(known.to_state())
    later = [stating("30 days"), stating("14 days")]
    assert again.new_values(later, learning=False) == known.new_values(later, learning=False)
