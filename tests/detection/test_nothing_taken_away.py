"""Chosen detectors take nothing away: what they cannot judge stays in the evidence, and a new normal reaches them."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection import Control, ControlAction, DetectionSettings, Finding, State, StreamMonitor
from monitor.detection.records.finding import Driver
from monitor.detection.settings import DetectorChoice, Floors
from tests.detection.streams import (
    ASKED,
    CHARS,
    EMPTY,
    FENCES,
    LANGUAGE,
    LATENCY,
    LISTS,
    REFUSAL,
    SENTIMENT,
    SETTINGS,
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
DETECTORS = ("adwin", "page_hinkley", "kswin", "evidence")
UNHEARD: dict[str, float] = {"threshold": 1e11}
"""Page-Hinkley with this threshold never finds anything."""


def choosing(*choices: tuple[str, str, dict[str, float]]) -> DetectionSettings:
    made = [DetectorChoice(features=f, detector=d, parameters=p) for f, d, p in choices]
    return SETTINGS.model_copy(update={"detectors": tuple(made)})


def changed(what: str, n: int = 1400) -> Traffic:
    traffic = calm(n, 61)
    rng = np.random.default_rng(62)
    rest = n - AT
    if what == "refusals":
        traffic[REFUSAL][AT:] = rng.random(rest) < 0.6
    elif what == "empty outputs":
        traffic[EMPTY][AT:] = rng.random(rest) < 0.3
    elif what == "language":
        column = traffic.categories[LANGUAGE]
        column[AT:] = ["es" if rng.random() < 0.8 else value for value in column[AT:]]
    elif what == "a constant":
        traffic[FENCES][AT:] = rng.random(rest) < 0.4
    elif what == "missing values":
        traffic[SENTIMENT][AT:] = np.where(rng.random(rest) < 0.5, np.nan, traffic[SENTIMENT][AT:])
    elif what == "a tail":
        traffic[LATENCY][AT:] = np.where(rng.random(rest) < 0.15, 60.0, traffic[LATENCY][AT:])
    elif what == "any at all":
        traffic[LISTS][AT:] = np.where(rng.random(rest) < 0.6, 1.0, traffic[LISTS][AT:])
    return traffic


STAYS = {
    "refusals": REFUSAL,
    "empty outputs": EMPTY,
    "language": LANGUAGE,
    "a constant": FENCES,
    "missing values": "output.tone.missing",
    "a tail": f"{LATENCY}.tail",
    "any at all": LISTS,
}


@pytest.mark.parametrize("features", ["*", "output.*", "?????*"])
@pytest.mark.parametrize("what", STAYS)
def test_what_no_detector_of_a_number_can_judge_stays_in_the_evidence(what: str, features: str) -> None:
    if features == "output.*" and what == "a tail":
        return
    settings = choosing((features, "page_hinkley", UNHEARD))
    found = fired(replay(watch(settings), changed(what)))
    expected = fired(replay(watch(), changed(what)))
    assert len(found) == 1
    assert STAYS[what] in named(found[0])
    assert found[0].raised_at.index <= expected[0].raised_at.index + 40


def test_what_is_asked_explains_what_is_answered_whoever_watches_it() -> None:
    """With detectors on the inputs, other inputs were laid to the model."""
    rng = np.random.default_rng(4)
    traffic = calm(2400, 61)
    for name in (CHARS, WORDS):
        traffic[name][:] = np.round(np.exp(6.5 + 0.9 * np.log(traffic[ASKED] / 55) + 0.1 * rng.normal(size=2400)))
    factor = 3.0
    traffic[ASKED][AT:] *= factor
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= factor**0.9
    drivers = []
    for settings in (SETTINGS, choosing(("input.*", "page_hinkley", UNHEARD))):
        found = replay(watch(settings), traffic)
        drivers.append([(f.driver, f.state) for f in found if CHARS in named(f)][:1])
    assert drivers[1] == drivers[0] == [(Driver.INPUT, State.INFO)]


def test_a_detector_on_an_input_tells_of_the_input() -> None:
    traffic = calm(1600, 61)
    traffic[ASKED][AT:] *= 4
    monitor = watch(choosing((ASKED, "adwin", {})))
    found = replay(monitor, traffic)
    assert fired(found) == []
    assert any(f.driver is Driver.INPUT and ASKED in named(f) for f in found)


# A new normal reaches every detector


def twice_changed() -> Traffic:
    traffic = calm(4000, 61)
    rng = np.random.default_rng(5)
    traffic[CHARS][AT:] *= 2.5
    traffic[REFUSAL][3000:] = rng.random(1000) < 0.5
    traffic[SENTIMENT][3000:] -= 0.8
    return traffic


PARAMETERS: dict[str, dict[str, float]] = {
    "adwin": {},
    "page_hinkley": {"threshold": 40_000, "delta": 100},
    "kswin": {"alpha": 1e-6},
    "evidence": {"warmup": 200},
}


@pytest.mark.parametrize("detector", DETECTORS)
def test_after_accept_it_is_calm_matures_and_finds_the_next_change(detector: str) -> None:
    monitor = watch(choosing((CHARS, detector, PARAMETERS[detector])))
    traffic = twice_changed()
    assert len(fired(replay(monitor, traffic, 0, 1100))) == 1
    assert len(monitor.control(Control(action=ControlAction.ACCEPT, stream="s"))) == 1
    assert fired(replay(monitor, traffic, 1100, 3000)) == []
    reference = decoded(monitor.snapshot())["monitors"]["main"]["original"][0]
    assert reference[7] is not None, "frozen, as after 600 calm rows"
    found = fired(replay(monitor, traffic, 3000))
    assert len(found) == 1
    assert 3000 <= found[0].raised_at.index < 3060


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_number_itself_is_watched_against_the_new_normal(detector: str) -> None:
    traffic = calm(3200, 61)
    traffic[CHARS][AT:] *= 2.5
    traffic[CHARS][2600:] *= 3
    monitor = watch(choosing((CHARS, detector, PARAMETERS[detector])))
    replay(monitor, traffic, 0, 1100)
    monitor.control(Control(action=ControlAction.ACCEPT, stream="s"))
    assert fired(replay(monitor, traffic, 1100, 2600)) == []
    found = fired(replay(monitor, traffic, 2600))
    assert found
    assert found[0].raised_at.index < 2760
    assert CHARS in named(found[0])


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("ends", ["recovers", "lasts", "is pinned", "is deployed"])
def test_a_change_fires_once_however_it_ends(detector: str, ends: str) -> None:
    traffic = calm(3000, 62)
    traffic[CHARS][AT : 1300 if ends == "recovers" else 3000] *= 2.5
    monitor = watch(choosing((CHARS, detector, PARAMETERS[detector])))
    found = replay(monitor, traffic, 0, 1100)
    if ends in ("is pinned", "is deployed"):
        action = ControlAction.PIN if ends == "is pinned" else ControlAction.DEPLOY
        found += monitor.control(Control(action=action, stream="s"))
    found += replay(monitor, traffic, 1100)
    expected = [State.FIRING] if ends == "lasts" else [State.FIRING, State.RESOLVED]
    assert [f.state for f in found if f.state is not State.INFO] == expected


def test_detectors_begin_with_each_new_reference() -> None:
    """Before, evidence's detector held all later rows against the first one for good."""
    monitor = watch(choosing((CHARS, "evidence", {"warmup": 200}), (LATENCY, "adwin", {})))
    traffic = calm(3000, 62)
    traffic[CHARS][AT:1500] *= 2.5
    seen = {}
    for name, stop in {"before": 690, "provisional": 1400, "recovered": 2990}.items():
        replay(monitor, traffic, monitor.events, stop)
        alone = decoded(monitor.snapshot())["monitors"]["main"]["alone"][0]
        seen[name] = (alone[CHARS]["n"], alone[LATENCY]["n"])
    # Evidence's has taken 200 rows of each reference first.
    for name, (since, least) in {"before": (200, 480), "provisional": (900, 400), "recovered": (1500, 1000)}.items():
        evidence, adwin = seen[name]
        assert evidence == adwin + 200, name
        assert least <= adwin <= {"before": 690, "provisional": 1400, "recovered": 2990}[name] - since, name


# A detector that says much


def noisy() -> tuple[str, dict[str, float]]:
    """KSWIN finds drift every other window, whatever comes."""
    return "kswin", {"alpha": 0.5}


def test_a_noisy_detector_keeps_nothing_from_its_way() -> None:
    """It muted the evidence on all outputs for up to 12,800 rows, and no reference matured."""
    detector, parameters = noisy()
    monitor = watch(choosing((CHARS, detector, parameters)))
    traffic = calm(4000, 63)
    traffic[SENTIMENT][3000:] -= 0.8
    found = replay(monitor, traffic, 0, 3000)
    assert fired(found) == []
    assert len(found) <= 6, "information is reported rarer and rarer"
    assert decoded(monitor.snapshot())["monitors"]["main"]["original"][0][7] is not None, "the reference has matured"
    change = fired(replay(monitor, traffic, 3000))
    plain = watch()
    expected = fired(replay(plain, traffic))
    assert len(change) == 1
    assert change[0].raised_at.index <= expected[0].raised_at.index + 10


def test_a_drift_that_its_own_number_does_not_bear_out_never_fires() -> None:
    detector, parameters = noisy()
    settings = choosing((CHARS, detector, parameters))
    for seed in range(4):
        assert fired(replay(watch(settings), calm(2500, 70 + seed))) == [], seed


def test_a_drift_that_is_too_young_is_judged_again() -> None:
    """River's detectors forget a drift as soon as they have found it."""
    traffic = calm(1400, 64)
    traffic[CHARS][AT:] *= 1.5
    traffic[ASKED][AT:] *= 1.6
    settings = choosing(
        (CHARS, "page_hinkley", {"threshold": 1500, "delta": 100}), ("output.length.words", "adwin", {})
    )
    found = replay(watch(settings), traffic)
    assert any(CHARS in named(f) for f in found)


# Settings that change


def test_settings_that_no_longer_choose_a_detector_leave_no_number_unwatched() -> None:
    """It has left the evidence with the reference that was learned: until the next one, `evidence` watches it."""
    traffic = calm(3000, 61)
    traffic[CHARS][2600:] *= 2.5
    monitor = watch(choosing((CHARS, "page_hinkley", UNHEARD)))
    replay(monitor, traffic, 0, 1500)
    monitor.control(Control(action=ControlAction.SETTINGS, stream="s", data={"detectors": []}))
    assert decoded(monitor.snapshot())["monitors"]["main"]["alone"][0][CHARS]["detector"] == "evidence"
    assert replay(monitor, traffic, 1500, 2600) == []
    found = fired(replay(monitor, traffic, 2600))
    assert CHARS in named(found[0])
    monitor.control(Control(action=ControlAction.DEPLOY, stream="s"))
    again = calm(600, 99)
    again.ids = [f"again-{i}" for i in again.ids]
    replay(monitor, again)
    state = decoded(monitor.snapshot())["monitors"]["main"]
    assert state["alone"][0] == {}
    assert state["original"][0][6] == []


def test_settings_that_choose_a_detector_take_effect_at_once_and_survive_a_restart() -> None:
    monitor = watch()
    traffic = calm(1400, 61)
    replay(monitor, traffic, 0, 600)
    choice = [{"features": CHARS, "detector": "adwin"}]
    monitor.control(Control(action=ControlAction.SETTINGS, stream="s", data={"detectors": choice}))
    replay(monitor, traffic, 600, 800)
    assert decoded(monitor.snapshot())["monitors"]["main"]["alone"][0][CHARS]["n"] > 100
    restored = watch()
    restored.restore(monitor.snapshot())
    assert restored.snapshot() == monitor.snapshot()
    assert (replay(restored, traffic, 800), restored.snapshot()) == (replay(monitor, traffic, 800), monitor.snapshot())


def test_a_snapshot_that_left_flags_out_gets_them_back_while_its_reference_is_young() -> None:
    """Earlier versions wrote every matching feature into the list of those that are not bet on."""
    monitor = watch(choosing(("*", "page_hinkley", UNHEARD)))
    traffic = changed("refusals")
    replay(monitor, traffic, 0, AT)
    state = decoded(monitor.snapshot())
    reference = state["monitors"]["main"]["original"][0]
    assert reference[7] is None, "it matures still"
    reference[6] = sorted({*reference[6], REFUSAL, EMPTY, LANGUAGE, FENCES})
    sums = state["monitors"]["main"]["evidence"][0][0]
    sums[1:] = [[0], b""]
    restored = watch()
    restored.restore(recoded(state))
    found: list[Finding] = fired(replay(restored, traffic, AT))
    assert REFUSAL in named(found[0])


def test_state_of_a_stream_with_detectors_restores_to_the_same() -> None:
    settings = choosing(("output.*", "adwin", {}), (CHARS, "evidence", {"warmup": 200}), (LATENCY, *noisy()))
    traffic = twice_changed()
    whole: StreamMonitor = watch(settings)
    found = replay(whole, traffic, revisions=True)
    parts = watch(settings)
    in_parts: list[Finding] = []
    for first in range(0, len(traffic), 37):
        snapshot, parts = parts.snapshot(), watch()
        parts.restore(snapshot)
        assert parts.snapshot() == snapshot
        in_parts += parts.observe(traffic.batch(first, first + 37))
    assert (in_parts, parts.snapshot()) == (found, whole.snapshot())


def test_floors_hold_for_detectors_too() -> None:
    unimportant = Floors(number=20, spread=20, flag=1, failure=1, category=1)
    settings = choosing((CHARS, "adwin", {})).model_copy(update={"floors": unimportant})
    traffic = calm(2000, 61)
    traffic[CHARS][AT:] *= 2.5
    found = replay(watch(settings), traffic)
    assert fired(found) == []
    (reported, *_) = [f for f in found if CHARS in f.title]
    assert reported.title == f"s: adwin found drift in {CHARS}, which moved less than its floor or not surely"
    assert reported.state is State.INFO
