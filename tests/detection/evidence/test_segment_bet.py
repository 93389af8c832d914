"""Bets within segments: each segment is bet on as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.detection.columns.recent_rows import Segments
from monitor.detection.evidence.directional_bet import FORGETTING_RATES, ZONE_JOINT, DirectionalBet
from monitor.detection.evidence.segment_bet import GROWN_SEGMENT, MOST_SEGMENTS, SegmentBet, chosen, segment_widening
from monitor.detection.reference.segment_means import SegmentMeans
from monitor.detection.reference.views import Joint
from tests.detection.streams import CHARS, WORDS, calm, fired, read_again, replay, watch

M = 4
TENANTS = ("a", "b", "c")


def joint() -> Joint:
    return Joint(np.eye(M), np.ones(M), np.zeros((M, 3)), np.zeros(3), np.full(M, 0.05))


def where(tenants: list[str]) -> list[Segments]:
    return [(("attributes.tenant", tenant),) for tenant in tenants]


def table(rows: int = 300, seed: int = 0, attribute: str = "attributes.tenant") -> SegmentMeans:
    """A reference in which all tenants are alike, exactly."""
    y = np.zeros((rows, M))
    held = SegmentMeans(M)
    held.add(y, [((attribute, TENANTS[row % 3]),) for row in range(rows)])
    return held


def a_bet(attribute: str = "attributes.tenant") -> SegmentBet:
    return SegmentBet(joint(), attribute, table(), np.zeros(M))


@given(seed=st.integers(0, 1000), blocks=st.lists(st.integers(1, 32), min_size=1, max_size=6))
def test_rows_of_a_segment_are_bet_on_as_if_they_were_alone(seed: int, blocks: list[int]) -> None:
    rng = np.random.default_rng(seed)
    wide = joint()
    # A third of the reference's rows, of which a reference by itself would be young.
    wide.error = wide.error * np.sqrt(3) * segment_widening(100)
    alone = {tenant: DirectionalBet(wide) for tenant in TENANTS}
    # What a bet pays for is the reference's error alone; what it leans by is the same.
    together = a_bet()
    for rows in blocks:
        tenants = [str(t) for t in rng.choice(TENANTS, rows)]
        u = rng.normal(0.8, 1, (rows, M))
        counts = rng.choice([1.0, 0.5], rows)
        bets = together.log_bets(u, counts, where(tenants))
        for tenant, bet in alone.items():
            own = np.asarray([t == tenant for t in tenants])
            if own.any():
                assert bets[own] == pytest.approx(bet.log_bets(u[own], counts[own]), abs=1e-5)


@pytest.mark.parametrize("every", [3, 30, 120], ids=lambda every: f"one row in {every}")
def test_a_segment_of_another_kind_than_the_rest_is_held_against_itself(every: int) -> None:
    """Tenant b has always been two standard deviations away, however small it is: that is no change."""
    held = SegmentMeans(M)
    tenants = ["b" if row % every == 1 else "a" for row in range(3000)]
    y = np.where(np.asarray(tenants)[:, None] == "b", 2.0, 0.0) * np.ones(M)
    held.add(y, where(tenants))
    sure = joint()
    sure.error[:] = 3000**-0.5
    bet = SegmentBet(sure, "attributes.tenant", held, y.mean(0))
    assert np.abs(bet.log_bets(y[:256] - y.mean(0), np.ones(256), where(tenants[:256]))).max() < 0.02


def test_a_small_segments_zone_is_as_many_standard_errors_wide_as_a_grown_ones() -> None:
    def in_errors(count: int) -> float:
        return float((ZONE_JOINT + segment_widening(count) / np.sqrt(count)) * np.sqrt(count))

    assert [in_errors(count) for count in (20, 50, 149)] == pytest.approx([in_errors(GROWN_SEGMENT)] * 3)
    assert segment_widening(GROWN_SEGMENT) == segment_widening(2_000) == 1.0


def test_rows_without_a_known_segment_are_not_bet_on() -> None:
    bet = a_bet()
    far = np.full((6, M), 3.0)
    assert not bet.log_bets(far, np.ones(6), [(), (("attributes.tenant", "new"),)] * 3).any()
    assert bet.furthest() == "a"  # the first, as none leans


def test_a_new_version_is_bet_on_and_one_that_was_there_alone_is_not() -> None:
    held = SegmentMeans(M)
    held.add(np.zeros((300, M)), [(("model.version", "1"),)] * 300)
    bet = SegmentBet(joint(), "model.version", held, np.zeros(M))
    rows: list[Segments] = [(("model.version", str(1 + row % 2)),) for row in range(32)]
    bets = bet.log_bets(np.full((32, M), 2.0), np.ones(32), rows)
    assert not bets[::2].any()
    assert (bets[3::2] > 0).any()
    assert bet.furthest() == "2"


def test_segments_are_bounded() -> None:
    held = SegmentMeans(M)
    held.add(np.zeros((300, M)), [(("model.version", "0"),)] * 300)
    bet = SegmentBet(joint(), "model.version", held, np.zeros(M))
    for version in range(1, 40):
        bet.log_bets(np.ones((1, M)), np.ones(1), [(("model.version", str(version)),)])
    assert len(bet.values) == MOST_SEGMENTS


@given(seed=st.integers(0, 100))
def test_rewinding_and_restoring_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bet, other = a_bet(), a_bet()

    def rows(tag: str) -> tuple[NDArray[np.float64], NDArray[np.float64], list[Segments]]:
        return rng.normal(size=(20, M)), np.ones(20), where([str(t) for t in rng.choice(TENANTS, 20)])

    bet.log_bets(*rows("before"))
    state = bet.state()
    next_rows = rows("next")
    first = bet.log_bets(*next_rows)
    bet.rewind(state)
    other.restore(read_again(bet.to_state()))
    assert np.array_equal(bet.log_bets(*next_rows), first)
    assert np.array_equal(other.log_bets(*next_rows), first)
    assert first.shape == (20, len(FORGETTING_RATES))


def test_which_attributes_are_bet_within() -> None:
    held = table()
    held.add(np.zeros((100, M)), [(("model.version", "7"), ("user", str(row))) for row in range(100)])
    assert chosen(held) == ["attributes.tenant", "model.version"]


@given(seed=st.integers(0, 1000), cut=st.integers(0, 60))
def test_a_table_filled_in_two_parts_is_as_one_filled_at_once(seed: int, cut: int) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(-8, 8, (60, M)).astype(float)  # whole numbers, so that sums are exact
    segments: list[Segments] = [
        (("task", str(t)), ("user", str(u)))
        for t, u in zip(rng.integers(0, 3, 60), rng.integers(0, 40, 60), strict=True)
    ]
    whole, first = SegmentMeans(M), SegmentMeans(M)
    whole.add(y, segments)
    first.add(y[:cut], segments[:cut])
    first.add(y[cut:], segments[cut:])
    assert first.n == whole.n
    for value in whole.values("task"):
        assert first.share("task", value) == whole.share("task", value)
        mean, other = first.mean("task", value, 1), whole.mean("task", value, 1)
        assert mean is not None
        assert other is not None
        assert np.array_equal(mean, other)
    assert first.is_wide("user") == whole.is_wide("user")


def delay(seed: int, *, named: bool) -> int:
    """Events until longer answers to one tenant of five are found, 800 at most."""
    traffic = calm(2200, seed, segments=[{"attributes.tenant": tenant} for tenant in "abcde"])
    moved = np.asarray([s["attributes.tenant"] == "c" for s in traffic.segments]) & (np.arange(2200) >= 1400)
    for name in (CHARS, WORDS):
        traffic[name][moved] = np.round(traffic[name][moved] * 1.6)
    if not named:
        traffic.segments = [{} for _ in traffic.segments]
    found = fired(replay(watch(), traffic))
    assert not found or found[0].raised_at.index >= 1400
    if named:
        assert found[0].segment == {"attributes.tenant": "c"}
    return found[0].raised_at.index - 1400 if found else 800


def test_a_change_in_one_tenant_of_five_is_found_sooner_for_its_name() -> None:
    assert sum(delay(seed, named=True) for seed in range(5)) < 0.6 * sum(delay(seed, named=False) for seed in range(5))
