"""Settings of detection: what operators write, read back as the same, and nonsense refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.detection import DetectionSettings, StreamMonitor
from monitor.detection.settings import parse_budget
from tests.detection.streams import SPECS, calm, replay, watch

DAY = 86400.0


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("1 per 30d", (1.0, 30 * DAY)),
        ("1 per 30 d", (1.0, 30 * DAY)),
        ("2 per w", (2.0, 7 * DAY)),
        ("0.5 per 12h", (0.5, 43200.0)),
        ("1/90m", (1.0, 5400.0)),
        (" 3 / 1.5 s ", (3.0, 1.5)),
        ((1, 60), (1.0, 60.0)),
        ([2.0, 3600], (2.0, 3600.0)),
    ],
)
def test_reads_what_operators_write(text: object, budget: tuple[float, float]) -> None:
    assert parse_budget(text) == budget
    assert DetectionSettings.model_validate({"alert_budget": text}).alert_budget == budget


@pytest.mark.parametrize("text", ["", "often", "1", "per 30d", "1 per", "1 per 30", "1 per 30y", "-1 per 30d", None, 7])
def test_refuses_what_is_no_budget(text: object) -> None:
    with pytest.raises(ValueError, match='must look like "1 per 30d"'):
        parse_budget(text)
    with pytest.raises(ValidationError, match="alert_budget"):
        DetectionSettings.model_validate({"alert_budget": text})


@pytest.mark.parametrize("text", ["0 per 30d", "1 per 0d", (0, 60), (1, -5), (math.nan, 60), (1, math.inf)])
def test_refuses_a_budget_of_nothing(text: object) -> None:
    with pytest.raises(ValueError, match="must be > 0"):
        parse_budget(text)


@given(
    alerts=st.floats(1e-9, 1e9),
    period=st.one_of(st.floats(1e-3, 1e10), st.integers(1, 10_000).map(lambda days: days * DAY)),
)
def test_written_and_read_again_it_is_the_same(alerts: float, period: float) -> None:
    before = DetectionSettings.model_validate({"alert_budget": (alerts, period)})
    written = before.model_dump(mode="json")
    assert isinstance(written["alert_budget"], str)
    assert DetectionSettings.model_validate(written).alert_budget == (alerts, period)


def test_the_default_is_one_a_month_and_written_so() -> None:
    assert DetectionSettings().model_dump(mode="json")["alert_budget"] == "1 per 30d"


@pytest.mark.parametrize(
    "wrong",
    [
        {"warmup": 50},
        {"warmup": 1e9},
        {"recovery": 0},
        {"silence_after": 0},
        {"floors": {"number": -1}},
        {"floors": {"flag": 2}},
        {"alert_on": ["everything"]},
        {"detectors": [{"detector": "ddm"}]},
        {"sensitivity": "high"},
    ],
)
def test_nonsense_is_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        DetectionSettings.model_validate(wrong)


# From budget to threshold: the mean run length asked for.


def test_the_threshold_follows_the_budget_at_the_streams_own_rate() -> None:
    for every, budget, asked in (
        (1.0, "1 per 30d", 30 * DAY),
        (1.0, "1 per 60d", 60 * DAY),
        (1.0, "3 per 30d", 10 * DAY),
        (10.0, "1 per 30d", 3 * DAY),
        (1.0, "1 per 1h", 10_000),  # never shorter
        (3600.0, "1 per 30d", 10_000),
    ):
        monitor = StreamMonitor("s", DetectionSettings(warmup=200, alert_budget=parse_budget(budget)), SPECS)
        replay(monitor, calm(300, 3, every=every))
        assert monitor.mean_run_length() == pytest.approx(asked, rel=1e-9)
        assert monitor.status().log_threshold == pytest.approx(math.log10(asked), rel=1e-9)


def test_without_times_a_month_counts_as_100_000_events() -> None:
    traffic = calm(300, 3)
    traffic.times[:] = math.nan
    monitor = watch()
    replay(monitor, traffic)
    assert monitor.mean_run_length() == 100_000
    assert monitor.status().last_event_time is None


def test_the_rate_is_the_references_and_stays() -> None:
    traffic = calm(700, 3)
    traffic.times[200:] = traffic.times[199] + 0.001 * (1 + traffic.times[200:] - traffic.times[200])
    monitor = watch()
    replay(monitor, traffic)
    assert monitor.mean_run_length() == pytest.approx(30 * DAY)
