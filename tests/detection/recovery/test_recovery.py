"""Whether a resolution means that the change has ended: the test of recovery, and what a resolution says."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from monitor.detection import Control, ControlAction, Finding, State
from monitor.detection.records.finding import Ended
from monitor.detection.recovery.column import PIECE_ROWS, Column, Measure
from monitor.detection.recovery.recovery import LIMIT, WRONG_WITHIN_ROWS
from tests.detection.streams import (
    CHARS,
    EMPTY,
    LANGUAGE,
    LATENCY,
    REFUSAL,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    named,
    recoded,
    replay,
    watch,
)

AT = 700
LASTS = 5_000


def rare(column: str, rate: float, seed: int, end: int | None = None, n: int = AT + LASTS) -> Traffic:
    """Traffic in which a flag that is true in 0.1 % of the events is true in more of them from `AT` to `end`."""
    traffic = calm(n, seed, embeddings=False)
    chance = np.random.default_rng([seed, 5]).random(n)
    place = np.arange(n)
    changed = (place >= AT) & (place < (n if end is None else end))
    traffic[column][:] = chance < np.where(changed, rate, 0.001)
    return traffic


def resolutions(found: list[Finding]) -> list[Finding]:
    return [f for f in found if f.state is State.RESOLVED]


@pytest.mark.parametrize(("column", "rate"), [(EMPTY, 0.02), (EMPTY, 0.03), (REFUSAL, 0.05), (REFUSAL, 0.07)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_low_rate_that_lasts_does_not_resolve(column: str, rate: float, seed: int) -> None:
    found = replay(watch(), rare(column, rate, seed))
    assert [f.state for f in found if f.state is not State.INFO] == [State.FIRING]


@pytest.mark.parametrize(("column", "rate", "most"), [(EMPTY, 0.03, 1_800), (REFUSAL, 0.06, 900), (EMPTY, 0.5, 320)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_low_rate_that_ends_resolves_after_as_many_events_as_it_takes(
    column: str, rate: float, most: int, seed: int
) -> None:
    end = 1_800
    found = replay(watch(), rare(column, rate, seed, end))
    assert len(fired(found)) == 1
    (ended,) = resolutions(found)
    assert ended.resolution is not None
    assert ended.resolution.index is not None
    assert end + 150 < ended.resolution.index < end + most
    assert ended.resolution.how is Ended.RECOVERED
    assert f"{column} is back at 0" in ended.resolution.why
    assert ended.resolution.back_events is not None
    assert abs(ended.resolution.index - ended.resolution.back_events - end) < 250


def german(share: float, end: int, seed: int) -> Traffic:
    traffic = calm(AT + LASTS, seed, embeddings=False)
    place, chance = np.arange(len(traffic)), np.random.default_rng([seed, 6]).random(len(traffic))
    hit = (place >= AT) & (place < end) & (chance < share)
    traffic.categories[LANGUAGE] = ["sv" if swedish else "en" for swedish in hit]
    return traffic


def test_a_category_that_lasts_does_not_resolve_and_one_that_ends_does() -> None:
    lasting = replay(watch(), german(0.07, AT + LASTS, 4))
    assert [f.state for f in lasting] == [State.FIRING]
    over = replay(watch(), german(0.07, 1_800, 4))
    assert [f.state for f in over] == [State.FIRING, State.RESOLVED]
    assert over[1].resolution is not None
    assert over[1].resolution.why.startswith(f"{LANGUAGE}=sv is back at 0")
    assert " % (0 % before, " in over[1].resolution.why


@pytest.mark.parametrize("rho", [0.0, 0.6])
def test_half_the_way_back_is_no_recovery(rho: float) -> None:
    traffic = calm(AT + LASTS, 9, rho=rho, embeddings=False)
    for name in (CHARS, WORDS):
        traffic[name][AT:1_700] *= 1.9
        traffic[name][1_700:] *= 1.4
    monitor = watch()
    found = replay(monitor, traffic)
    assert resolutions(found) == []
    assert monitor.status().firing


def test_a_change_that_goes_on_growing_is_no_recovery() -> None:
    n = AT + LASTS
    traffic = calm(n, 10, embeddings=False)
    growth = np.exp(np.linspace(0.4, 1.5, n - AT))
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= growth
    assert resolutions(replay(watch(), traffic)) == []


@pytest.mark.parametrize("stop", [AT + 300, 2_100])
def test_a_snapshot_from_before_the_test_restores_and_still_recovers(stop: int) -> None:
    traffic = rare(EMPTY, 0.2, 2, end=2_000)
    monitor = watch()
    assert len(fired(replay(monitor, traffic, 0, stop))) == 1
    state = decoded(monitor.snapshot())
    findings, test, *_ = state["monitors"]["main"]["open"]
    assert test is not None
    state["monitors"]["main"]["open"][1] = None
    for finding in findings:
        del finding["resolution"]
    old = watch()
    old.restore(recoded(state))
    assert [f.state for f in replay(old, traffic, stop)] == [State.RESOLVED]


def test_the_state_of_a_test_is_small() -> None:
    monitor = watch()
    replay(monitor, rare(EMPTY, 0.2, 2), 0, 2_000)
    tested = decoded(monitor.snapshot())["monitors"]["main"]["open"][1]
    assert len(msgspec.msgpack.encode(tested)) < 4_096


@pytest.mark.parametrize(
    ("action", "how", "why"),
    [
        (ControlAction.ACCEPT, Ended.ACCEPTED, "accepted as the new normal by ada"),
        (ControlAction.DEPLOY, Ended.DEPLOYED, "a deploy was marked by ada"),
        (ControlAction.PIN, Ended.PINNED, "a new reference was pinned by ada"),
    ],
)
def test_a_decision_is_named_with_who_took_it_and_how_long_it_lasted(
    action: ControlAction, how: Ended, why: str
) -> None:
    monitor = watch()
    traffic = rare(EMPTY, 0.5, 3)
    found = replay(monitor, traffic, 0, 1_200)
    (ended,) = monitor.control(Control(action=action, stream="s", time=1_001_200.0, by="ada"))
    assert ended.id == found[0].id
    assert ended.resolution is not None
    assert (ended.resolution.how, ended.resolution.by) == (how, "ada")
    assert ended.resolution.lasted_events == 1_199 - found[0].began_at.index
    assert ended.resolution.lasted_s == pytest.approx(ended.resolution.lasted_events)  # one event a second
    assert f"Resolved: {why}. It lasted " in ended.cause


def test_two_changes_resolve_when_both_are_back() -> None:
    traffic = rare(EMPTY, 0.3, 5, end=4_000)
    traffic[LATENCY][1_500:2_500] *= 3
    found = replay(watch(), traffic)
    first, second, *_ = fired(found)
    assert EMPTY in named(first)
    assert LATENCY in named(second)
    ended = resolutions(found)
    assert {f.id for f in ended} == {f.id for f in fired(found)}
    assert all(f.resolution is not None and (f.resolution.index or 0) > 4_000 for f in ended)


# The test alone


def crossed(measure: Measure, usual: float, changed: float, draw: np.ndarray) -> int | None:
    """After how many rows a column that was found changed is called back; draw (n): its rows."""
    column = Column(0, measure, None, usual, 1.0, changed, 0.002, 0.03, 0.0075, 1.0)
    for start in range(0, len(draw) - PIECE_ROWS + 1, PIECE_ROWS):
        column.add(PIECE_ROWS, float(draw[start : start + PIECE_ROWS].sum()))
        if column.total() >= LIMIT:
            return start + PIECE_ROWS
    return None


def test_at_most_one_in_twenty_is_called_back_while_a_rate_lasts() -> None:
    wrong = sum(
        crossed(Measure.RATE, 0.001, 0.01, np.random.default_rng(seed).random(WRONG_WITHIN_ROWS) < 0.03) is not None
        for seed in range(60)
    )
    assert wrong <= 3


def test_rows_that_it_takes_are_those_of_the_likelihood_ratio() -> None:
    """3 % against 0.1 %: log(12,500) / KL(0.001 || bound of 3 %) is some hundred rows."""
    took = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        draw = np.concatenate([rng.random(1_024) < 0.03, rng.random(4_000) < 0.001])
        took.append((crossed(Measure.RATE, 0.001, 0.01, draw) or 10_000) - 1_024)
    assert 300 < np.median(took) < 900
    assert max(took) < 2_500


def test_a_normal_level_that_wanders_is_not_called_back() -> None:
    """AR(1) 0.6 with the long-run variance that the reference knows (4 times the marginal one)."""
    wrong = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise, level = rng.normal(size=WRONG_WITHIN_ROWS) * 0.8, np.empty(WRONG_WITHIN_ROWS)
        last = 0.0
        for i in range(WRONG_WITHIN_ROWS):
            last = level[i] = 0.6 * last + noise[i]
        column = Column(0, Measure.LEVEL, None, 0.0, 1.0, 0.3, 0.05, 0.25, 0.15, 4.0)
        for start in range(0, WRONG_WITHIN_ROWS - PIECE_ROWS + 1, PIECE_ROWS):
            column.add(PIECE_ROWS, float((level[start : start + PIECE_ROWS] + 0.4).sum()))
            if column.total() >= LIMIT:
                wrong += 1
                break
    assert wrong <= 1
