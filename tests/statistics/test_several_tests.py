"""Corrections for several tests."""

from __future__ import annotations

from monitor.statistics.several_tests import holm


def test_holm_rejects_from_the_smallest_on() -> None:
    assert holm([0.04, 0.01, 0.5]) == [False, True, False]
    assert holm([0.01, 0.02, 0.03]) == [True, True, True]
    assert holm([]) == []
