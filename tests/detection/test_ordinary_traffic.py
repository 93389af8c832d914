"""What ordinary traffic does, and what odd data does: neither may fire, and neither may do harm."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection import DetectionSettings, Finding, State, StreamMonitor, StreamState
from monitor.features.base import FeatureSpec, Kind
from tests.detection.streams import (
    CHARS,
    EMPTY,
    FENCES,
    LANGUAGE,
    LATENCY,
    LISTS,
    NAMES,
    SENTIMENT,
    SETTINGS,
    SPECS,
    WORDS,
    Traffic,
    calm,
    fired,
    named,
    one_column,
    replay,
    watch,
)

MANY = 20_000


def said(findings: list[Finding]) -> list[str]:
    return [f.title for f in fired(findings)]


def test_independent_events_do_not_fire() -> None:
    assert said(replay(watch(DetectionSettings()), calm(MANY, 100))) == []


def test_autocorrelated_events_do_not_fire() -> None:
    assert said(replay(watch(DetectionSettings()), calm(MANY, 101, rho=0.6))) == []


def _daily(n: int, seed: int, a_day: int) -> Traffic:
    """Two tasks, one thrice as long as the other, whose shares swing between 20 and 80 % within the day."""
    rng = np.random.default_rng(seed)
    traffic = calm(n, seed, every=86400.0 / a_day)
    share = 0.5 + 0.3 * np.sin(2 * np.pi * np.arange(n) / a_day)
    long = rng.random(n) < share
    for name in (CHARS, WORDS):
        traffic[name][long] *= 3
    traffic.segments = [{**s, "attributes.task": "ab"[int(yes)]} for s, yes in zip(traffic.segments, long, strict=True)]
    return traffic


def test_a_daily_cycle_of_the_mix_does_not_fire() -> None:
    assert said(replay(watch(DetectionSettings()), _daily(MANY, 105, 2000))) == []


def test_a_burst_of_one_question_does_not_fire() -> None:
    """The same event 20 times over (each with an id of its own), every 1,000 events."""
    traffic = calm(MANY, 103)
    rows = np.arange(MANY)
    for start in range(500, MANY, 1000):
        rows[start : start + 20] = start
    traffic.say(rows)
    assert said(replay(watch(DetectionSettings()), traffic)) == []


def _other_questions(seed: int, failing: int) -> Traffic:
    """After 800 events 200 other questions take the place of the first 200: so many of them fail, of the first none."""
    rng = np.random.default_rng(seed)
    n = 3000
    traffic = calm(n, seed)
    asked = rng.integers(0, 200, n) + 200 * (np.arange(n) >= 800)
    traffic.say(asked)
    traffic[EMPTY][:] = np.isin(asked, 200 + rng.choice(200, failing, replace=False))
    return traffic


def test_other_questions_of_which_two_in_a_hundred_fail_are_information() -> None:
    """One in fifty where none failed before: bets are sure of that soon, but 200 questions may differ so by chance."""
    heard = [replay(watch(DetectionSettings()), _other_questions(seed, 4)) for seed in range(8)]
    assert sum(bool(fired(findings)) for findings in heard) <= 1
    assert sum(any(f.state is State.INFO for f in findings) for findings in heard) >= 6


@pytest.mark.parametrize("seed", range(4))
def test_other_questions_of_which_six_in_a_hundred_fail_fire(seed: int) -> None:
    findings = fired(replay(watch(DetectionSettings()), _other_questions(seed, 12)))
    assert findings
    assert EMPTY in named(findings[0])


def _two_languages(n: int, seed: int, share: float) -> Traffic:
    """So many of the events are in another language, whose texts differ from the others' by what is usual for it."""
    rng = np.random.default_rng(seed)
    traffic = calm(n, seed)
    other = rng.random(n) < share
    for name in (CHARS, WORDS, LATENCY):
        traffic[name][other] *= 2
    traffic[SENTIMENT][other] += 3 * np.std(traffic[SENTIMENT])
    traffic[LISTS][other] += 3
    assert traffic.embeddings is not None
    traffic.embeddings[other, 0] += 3
    traffic.segments = [
        {**s, "attributes.locale": ("en", "de")[int(yes)]} for s, yes in zip(traffic.segments, other, strict=True)
    ]
    return traffic


@pytest.mark.parametrize("seed", range(106, 111))
def test_a_small_segment_that_differs_a_lot_from_the_others_does_not_fire(seed: int) -> None:
    """Of it a young reference holds some twenty rows."""
    assert said(replay(watch(DetectionSettings(mature=0)), _two_languages(MANY // 2, seed, 0.06))) == []


def test_growth_that_stays_below_the_floor_does_not_fire() -> None:
    traffic = calm(MANY, 104)
    traffic[LATENCY][:] *= np.exp(np.linspace(0, 0.05, MANY))
    assert said(replay(watch(DetectionSettings()), traffic)) == []


# Odd data


def test_what_is_not_finite_is_missing() -> None:
    """Infinities and NaN of a feature count as missing: none of them, from the first on, does any harm."""
    traffic, holes = calm(1500, 111), calm(1500, 111)
    where = np.random.default_rng(2).random(1500) < 0.1
    for name in (CHARS, SENTIMENT, EMPTY, FENCES):
        traffic[name][where] = np.nan
        holes[name][where] = np.where(np.arange(where.sum()) % 2, np.inf, -np.inf)
    one, other = watch(), watch()
    assert replay(one, traffic) == replay(other, holes) == []
    assert one.snapshot() == other.snapshot()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3e38, -3e38, 1e-38])
def test_a_single_odd_value_does_not_fire(value: float) -> None:
    traffic = calm(1200, 111)
    for name in NAMES:
        traffic[name][900] = value
    monitor = watch()
    assert said(replay(monitor, traffic)) == []
    assert monitor.status().state is StreamState.STABLE


def test_values_too_large_for_words_can_be_a_reference() -> None:
    traffic = calm(1200, 112)
    traffic[CHARS][:] *= 1e30
    traffic[LATENCY][:] *= 1e-30
    traffic[CHARS][800:] *= 10
    found = fired(replay(watch(), traffic))
    assert CHARS in named(found[0])


def test_columns_without_any_value_do_not_fire() -> None:
    traffic = calm(1200, 113, embeddings=False)
    traffic[CHARS][:] = np.nan
    traffic[EMPTY][:] = np.nan
    traffic.categories[LANGUAGE] = [None] * 1200
    monitor = watch()
    assert replay(monitor, traffic) == []
    assert monitor.status().state is StreamState.STABLE
    replayed = watch()
    replayed.restore(monitor.snapshot())
    assert replayed.snapshot() == monitor.snapshot()


def test_values_where_there_never_were_any_are_found() -> None:
    traffic = calm(1200, 113)
    traffic[SENTIMENT][:700] = np.nan
    found = fired(replay(watch(), traffic))
    assert SENTIMENT in named(found[0])
    assert 700 <= found[0].raised_at.index < 750


def test_nothing_known_at_all_is_no_finding() -> None:
    traffic = calm(1200, 114, embeddings=False)
    for name in NAMES:
        traffic[name][:] = np.nan
    traffic.categories[LANGUAGE] = [None] * 1200
    monitor = watch()
    assert replay(monitor, traffic) == []
    assert monitor.events == 1200


@pytest.mark.parametrize("value", [0.0, 5.0, -1.5])
def test_where_nothing_varies_nothing_is_found_until_it_does(value: float) -> None:
    traffic = one_column(np.full(1000, value))
    monitor = watch(specs=[FeatureSpec(CHARS, Kind.NUMBER, "constant")])
    assert replay(monitor, traffic, 0, 700) == []
    traffic[CHARS][700:] += 1
    found = fired(replay(monitor, traffic, 700))
    assert len(found) == 1
    assert 700 <= found[0].raised_at.index < 720
    assert named(found[0]) == {CHARS}


def test_a_single_feature_is_enough() -> None:
    values = np.random.default_rng(3).normal(10, 1, 1200)
    specs = [FeatureSpec(CHARS, Kind.NUMBER, "alone")]
    assert replay(watch(specs=specs), one_column(values.copy())) == []
    values[700:] += 2
    found = fired(replay(watch(specs=specs), one_column(values)))
    assert len(found) == 1
    assert 700 <= found[0].raised_at.index < 730
    assert found[0].features[0].before == pytest.approx(10, abs=0.3)
    assert found[0].features[0].after == pytest.approx(12, abs=0.8)


@pytest.mark.parametrize("kind", [Kind.FLAG, Kind.COUNT])
def test_a_single_flag_or_count_is_enough(kind: Kind) -> None:
    rng = np.random.default_rng(4)
    values = (rng.random(1200) < 0.2).astype(float) * (1 if kind is Kind.FLAG else rng.poisson(3, 1200) + 1)
    specs = [FeatureSpec(CHARS, kind, "alone")]
    assert replay(watch(specs=specs), one_column(values.copy())) == []
    values[700:] = np.where(rng.random(500) < 0.7, np.maximum(values[700:], 1), 0)
    found = fired(replay(watch(specs=specs), one_column(values)))
    assert found
    assert 700 <= found[0].raised_at.index < 800


def test_features_that_nobody_declared_are_not_watched() -> None:
    traffic = calm(1200, 115)
    traffic.columns["output.mine.secret"] = np.zeros(1200)
    traffic["output.mine.secret"][700:] = 50
    assert replay(watch(), traffic) == []


def test_features_that_never_come_do_not_matter() -> None:
    more = FeatureSpec("output.mine.never", Kind.NUMBER, "declared, never measured")
    category = FeatureSpec("output.mine.kind", Kind.CATEGORY, "declared, never measured")
    traffic = calm(1200, 115)
    traffic[LATENCY][700:] *= 2
    with_them = replay(watch(specs=[*SPECS, more, category]), traffic)
    assert with_them == replay(watch(), traffic)
    assert fired(with_them)


@pytest.mark.parametrize(
    ("setting", "value"), [("features", ("output.*",)), ("exclude", ("call.*",)), ("features", (CHARS,))]
)
def test_features_can_be_left_out(setting: str, value: tuple[str, ...]) -> None:
    traffic = calm(1400, 116)
    traffic[LATENCY][700:] *= 3
    monitor = StreamMonitor("s", SETTINGS.model_copy(update={setting: value}), SPECS)
    assert replay(monitor, traffic) == []
    assert LATENCY not in monitor.status().features
    assert CHARS in monitor.status().features


def test_a_vocabulary_of_thousands_is_no_segment_and_no_category_flood() -> None:
    """A user id as attribute, and a category with a new value each time."""
    traffic = calm(1500, 117, segments=[{"attributes.user": f"u{i}"} for i in range(700)])
    traffic.categories[LANGUAGE] = [f"x{i}" for i in range(1500)]
    traffic[LATENCY][900:] *= 2
    monitor = watch()
    found = fired(replay(monitor, traffic))
    assert len(found) == 1
    assert found[0].segment is None
    assert len(monitor.snapshot()) < 100_000


def test_times_that_run_backwards_do_no_harm() -> None:
    traffic = calm(1000, 118)
    rng = np.random.default_rng(1)
    traffic.times += rng.normal(0, 3600, 1000)
    monitor = watch()
    assert replay(monitor, traffic) == []
    assert monitor.status().last_event_time == traffic.times.max()


def test_ids_and_texts_of_any_kind_do_no_harm() -> None:
    traffic = calm(500, 119, segments=[{"attributes.\udc80": "\ud800"}, {"": ""}, {"attributes.a": "ä" * 64}])
    traffic.ids = [("" if i == 0 else f"\udcff{i}\x00") for i in range(500)]
    monitor = watch()
    replay(monitor, traffic)
    assert monitor.events == 500
