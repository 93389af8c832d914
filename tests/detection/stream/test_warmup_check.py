"""A warm-up that contained an incident: found, said, left out; ordinary warm-ups are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, FindingKind, State
from tests.detection.streams import (
    ASKED,
    CHARS,
    EMPTY,
    REFUSAL,
    SENTIMENT,
    WORDS,
    Traffic,
    calm,
    fired,
    named,
    replay,
    watch,
)

WARMUP = 400
DEFAULT = DetectionSettings(warmup=WARMUP)
SHORT = DetectionSettings()
"""The warm-up as it is by default."""


def with_incident(start: int, length: int, kind: str, seed: int = 1, n: int = 1500) -> Traffic:
    traffic = calm(n, seed)
    here = slice(start, start + length)
    if kind == "long":
        for name in (CHARS, WORDS):
            traffic[name][here] *= 4
        traffic[SENTIMENT][here] -= 0.6
    else:
        empty = np.random.default_rng(seed).random(length) < 0.5
        traffic[EMPTY][here] = empty
        for name in (CHARS, WORDS):
            traffic[name][here][empty] = 0
    return traffic


def about_the_reference(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.kind is FindingKind.REFERENCE]


@settings(max_examples=25, deadline=None)
@given(
    start=st.integers(0, 340), length=st.integers(60, 180), kind=st.sampled_from(["long", "empty"]),
    seed=st.integers(0, 50),
)  # fmt: skip
def test_an_incident_that_is_over_is_said_and_its_end_is_no_drift(
    start: int, length: int, kind: str, seed: int
) -> None:
    stop = min(start + length, WARMUP)
    if stop - start < 60:
        return
    traffic = with_incident(start, stop - start, kind, seed, n=700)
    found = replay(watch(DEFAULT), traffic)
    (said,) = about_the_reference(found)
    assert said.state is State.INFO
    first = start + int(np.flatnonzero(traffic[EMPTY][start:stop])[0]) if kind == "empty" else start
    assert abs(said.began_at.index - first) <= 20
    assert said.began_at.low <= said.began_at.index <= said.began_at.high
    assert said.raised_at.index == WARMUP - 1
    assert "oqm reference pin s" in said.cause
    assert (EMPTY if kind == "empty" else CHARS) in named(said)
    assert fired(found) == []


def test_what_is_quoted_of_an_incident_has_its_text() -> None:
    (said,) = about_the_reference(replay(watch(DEFAULT), with_incident(120, 90, "long", n=700), 0, 500))
    assert len(said.excerpts_before) == len(said.excerpts_after) == 3
    for excerpt in [*said.excerpts_before, *said.excerpts_after]:
        assert (excerpt.input, excerpt.output) == (f"question {excerpt.event_id}", f"answer {excerpt.event_id}")


def test_an_incident_whose_questions_differ_a_little_by_chance_is_one() -> None:
    assert about_the_reference(replay(watch(DEFAULT), with_incident(194, 78, "long", 20, n=700)))


def test_an_incident_that_goes_on_fires() -> None:
    """What the rest of the warm-up was is normal; what began within it and lasts is reported at once, and ends."""
    found = replay(watch(DEFAULT), with_incident(300, 250, "long"))
    assert len(about_the_reference(found)) == 1
    (firing,) = fired(found)
    assert WARMUP <= firing.raised_at.index < WARMUP + 40
    resolved = [f for f in found if f.state is State.RESOLVED]
    assert [f.id for f in resolved] == [firing.id]


def test_what_is_left_out_blurs_nothing() -> None:
    """A drift as large as the incident was is found as soon as by a reference without one."""
    delays = []
    for length in (0, 100):
        traffic = with_incident(120, length, "long")
        for name in (CHARS, WORDS):
            traffic[name][900:] *= 4
        delays.append(fired(replay(watch(DEFAULT), traffic))[0].raised_at.index - 900)
    assert max(delays) <= 20
    assert abs(delays[0] - delays[1]) <= 4


def test_a_pinned_reference_is_checked_as_well() -> None:
    traffic = with_incident(700, 100, "long")
    monitor = watch(DEFAULT)
    replay(monitor, traffic, 0, 500)
    monitor.control(Control(action=ControlAction.PIN, stream="s"))
    (said,) = about_the_reference(replay(monitor, traffic, 500))
    assert abs(said.began_at.index - 700) <= 15


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.8])
def test_ordinary_warm_ups_are_left_alone(rho: float) -> None:
    said = [len(about_the_reference(replay(watch(DEFAULT), calm(WARMUP, seed, rho=rho)))) for seed in range(60)]
    assert sum(said) == 0


@pytest.mark.parametrize("rho", [0.0, 0.6, 0.8])
def test_short_ordinary_warm_ups_are_left_alone(rho: float) -> None:
    found = [replay(watch(SHORT), calm(SHORT.warmup, seed, rho=rho)) for seed in range(60)]
    assert [about_the_reference(said) for said in found if about_the_reference(said)] == []


@pytest.mark.parametrize(("start", "kind"), [(0, "long"), (60, "long"), (120, "long"), (60, "empty"), (130, "empty")])
def test_an_incident_within_a_short_warm_up_is_left_out(start: int, kind: str) -> None:
    length = 70
    found = replay(watch(SHORT), with_incident(start, length, kind, n=600))
    (said,) = about_the_reference(found)
    assert said.raised_at.index == SHORT.warmup - 1
    assert abs(said.began_at.index - start) <= 20
    assert fired(found) == []


def test_a_wave_of_the_mix_is_no_incident() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        traffic = calm(WARMUP, seed)
        share = 0.5 + 0.3 * np.sin(2 * np.pi * (np.arange(WARMUP) / 2000 + rng.random()))
        long = rng.random(WARMUP) < share
        for name in (CHARS, WORDS):
            traffic[name][long] *= 3
        assert about_the_reference(replay(watch(DEFAULT), traffic)) == []


def test_a_burst_of_one_answer_is_no_incident() -> None:
    traffic = calm(WARMUP, 2)
    for name in traffic.columns:
        traffic[name][150:200] = traffic[name][150]
    traffic.digests[150:200] = traffic.digests[150]
    assert about_the_reference(replay(watch(DEFAULT), traffic)) == []


def test_other_questions_are_no_incident() -> None:
    traffic = calm(WARMUP, 3)
    traffic[ASKED][150:260] *= 6
    for name in (CHARS, WORDS):
        traffic[name][150:260] *= 2
    assert about_the_reference(replay(watch(DEFAULT), traffic)) == []


def test_a_single_refusal_more_or_less_is_no_incident() -> None:
    traffic = calm(WARMUP, 4)
    traffic[REFUSAL][:] = 0
    traffic[REFUSAL][100:140:8] = 1
    assert about_the_reference(replay(watch(DEFAULT), traffic)) == []


@settings(max_examples=8, deadline=None)
@given(cuts=st.lists(st.integers(1, 899), min_size=1, max_size=8))
def test_cuts_and_restores_change_nothing(cuts: list[int]) -> None:
    traffic = with_incident(150, 90, "long", n=900)
    whole = watch(DEFAULT)
    expected = whole.observe(traffic.batch())
    assert about_the_reference(expected)
    monitor = watch(DEFAULT)
    found: list[Finding] = []
    for batch in traffic.batches(cuts):
        snapshot, monitor = monitor.snapshot(), watch(DEFAULT)
        monitor.restore(snapshot)
        found += monitor.observe(batch)
    assert (found, monitor.snapshot()) == (expected, whole.snapshot())
