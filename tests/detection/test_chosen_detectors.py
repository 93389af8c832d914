"""Detectors of their own for single features of a stream, chosen in the settings."""

from __future__ import annotations

import pytest

from monitor.detection import DetectionSettings
from monitor.detection.settings import DetectorChoice, Floors
from tests.detection.streams import (
    CHARS,
    LATENCY,
    SETTINGS,
    WARMUP,
    WORDS,
    Traffic,
    calm,
    decoded,
    fired,
    named,
    replay,
    watch,
)

AT = 700


def chosen(detector: str, features: str = CHARS, **parameters: float) -> DetectionSettings:
    choice = DetectorChoice.model_validate({"features": features, "detector": detector, "parameters": parameters})
    return SETTINGS.model_copy(update={"detectors": (choice,)})


def longer(seed: int = 121) -> Traffic:
    traffic = calm(1400, seed)
    traffic[CHARS][AT:] *= 2.5
    return traffic


@pytest.mark.parametrize(
    ("detector", "parameters", "within"),
    [
        ("adwin", {}, 130),
        ("page_hinkley", {"threshold": 20_000, "delta": 50}, 60),
        ("kswin", {"alpha": 1e-9}, 60),
        ("evidence", {"warmup": 200}, 60),
    ],
)
def test_a_change_is_found_by_the_chosen_detector(detector: str, parameters: dict[str, float], within: int) -> None:
    settings = chosen(detector, **parameters)
    found = fired(replay(watch(settings), longer()))
    assert found
    assert AT <= found[0].raised_at.index < AT + within
    assert CHARS in named(found[0])
    assert abs(found[0].began_at.index - AT) < 40
    assert fired(replay(watch(settings), calm(1400, 121))) == []


def test_it_takes_the_place_of_the_evidence() -> None:
    """A detector that never finds anything leaves its features unwatched, and only these."""
    deaf = chosen("page_hinkley", "output.length.*", threshold=1e11)
    traffic = longer()
    traffic[WORDS][AT:] *= 2.5
    assert fired(replay(watch(deaf), traffic)) == []
    traffic[LATENCY][1000:] *= 2
    found = fired(replay(watch(deaf), traffic))
    assert len(found) == 1
    assert 1000 <= found[0].raised_at.index < 1060


def test_of_two_choices_for_a_feature_the_last_counts() -> None:
    deaf, hearing = chosen("page_hinkley", threshold=1e11), chosen("adwin")
    for settings, finds in (((deaf, hearing), True), ((hearing, deaf), False)):
        both = SETTINGS.model_copy(update={"detectors": settings[0].detectors + settings[1].detectors})
        assert bool(fired(replay(watch(both), longer()))) is finds


@pytest.mark.parametrize("size", [1, 32, 500])
def test_it_sees_each_row_once_whatever_else_is_found(size: int) -> None:
    """Evidence that crosses within a block ends the block there; the rest of it is judged anew."""
    unimportant = Floors(number=20, spread=20, flag=1, failure=1, category=1)
    settings = chosen("page_hinkley", threshold=1e11).model_copy(update={"floors": unimportant})
    traffic = calm(1416, 121)
    traffic[LATENCY][AT:] *= 3
    monitor = watch(settings)
    assert replay(monitor, traffic, size=size), "information, at least"
    state = decoded(monitor.snapshot())
    assert (1416 - WARMUP) % 32 == 0
    assert state["monitors"]["main"]["alone"][0][CHARS]["n"] == 1416 - WARMUP


def test_a_glob_chooses_for_all_that_match() -> None:
    monitor = watch(chosen("adwin", "output.*"))
    replay(monitor, calm(400, 121))
    alone = decoded(monitor.snapshot())["monitors"]["main"]["alone"][0]
    assert {CHARS, WORDS} <= set(alone)
    assert LATENCY not in alone
