"""Agreement of two raters."""

from __future__ import annotations

import math

import pytest

from monitor.judgment.agreement import agreement, krippendorff


def test_kappa_beside_the_table() -> None:
    # Wikipedia's grant example scaled: 20 both yes, 5 yes/no, 10 no/yes, 15 both no.
    found = agreement([(True, True)] * 20 + [(True, False)] * 5 + [(False, True)] * 10 + [(False, False)] * 15)
    assert found.observed == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)
    assert (found.both_pass, found.first_only, found.second_only, found.both_fail) == (20, 5, 10, 15)


def test_no_coefficient_of_few_items_or_of_one_class() -> None:
    assert agreement([(True, True)] * 30 + [(False, False)] * 15).kappa is None
    assert agreement([(True, True)] * 95 + [(False, False)] * 5).kappa is None
    assert math.isnan(agreement([]).observed)


def test_alpha_is_krippendorffs_example() -> None:
    # Krippendorff 2011, section B: two observers, binary data, 10 units; alpha = 0.095.
    a = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    b = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff([[bool(x), bool(y)] for x, y in zip(a, b, strict=True)]) == pytest.approx(0.095, abs=5e-4)
    assert krippendorff([[True, True]]) is None
