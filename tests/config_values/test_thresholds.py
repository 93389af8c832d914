"""Fixed thresholds as text: what is read, what is refused, and how many events each needs."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.config_values.thresholds import Limit, Statistic, Threshold, Window, limit_of, window_of

LATENCY = "call.latency.total_s"
REFUSAL = "output.tone.refusal"


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("< 2%", Limit(True, False, 0.02, "%", "")),
        ("<=0.7 %", Limit(True, True, 0.007, "%", "")),
        ("< 3s", Limit(True, False, 3.0, "s", "")),
        ("< 250ms", Limit(True, False, 0.25, "s", "")),
        ("> -0.5", Limit(False, False, -0.5, "", "")),
        (">= 1e3 tokens", Limit(False, True, 1000.0, "tokens", "")),
        ("< 20 USD per h", Limit(True, False, 20.0, "USD", "h")),
    ],
)
def test_limits_are_read(text: str, limit: Limit) -> None:
    assert limit_of(text) == limit


@pytest.mark.parametrize("text", ["", "3s", "< ", "<< 3", "= 3", "< 3 per", "< 1,000", "< x", "< 3s\n< 4s", "< 1e999"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a limit such as"):
        limit_of(text)


@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    for read in (limit_of, window_of):
        with suppress(ValueError):
            read(text)


@pytest.mark.parametrize(
    ("text", "window"), [("30m", Window(0, 1800.0)), ("500 events", Window(500, 0.0)), ("7d", Window(0, 604_800.0))]
)
def test_windows_are_read(text: str, window: Window) -> None:
    assert window_of(text) == window


@pytest.mark.parametrize("text", ["500", "5 events", "20000 events", "30s", "8d", "events", "30 minutes"])
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        window_of(text)


@pytest.mark.parametrize(
    ("given", "needed"),
    [
        ({"feature": LATENCY, "mean": "< 3s"}, 30),
        ({"feature": LATENCY, "median": "< 3s"}, 30),
        ({"feature": LATENCY, "p95": "< 3s"}, 40),
        ({"feature": LATENCY, "p99": "< 3s"}, 200),
        ({"feature": LATENCY, "max": "< 3s"}, 1),
        ({"feature": REFUSAL, "share": "< 2%"}, 100),
        ({"feature": REFUSAL, "share": "> 98%"}, 100),
        ({"feature": REFUSAL, "share": "< 50%"}, 30),
        ({"feature": REFUSAL, "share": "<= 0%"}, 1),
        ({"feature": REFUSAL, "share": "< 2%", "at_least": 10}, 10),
    ],
)
def test_a_limit_needs_so_many_events_that_one_of_them_decides_nothing(given: dict[str, object], needed: int) -> None:
    assert Threshold.model_validate({"name": "n", **given}).needed == needed


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"feature": LATENCY}, "none is given"),
        ({"feature": LATENCY, "p95": "< 3s", "max": "< 9s"}, "p95 and max are given"),
        ({"p95": "< 3s"}, "needs a feature"),
        ({"feature": REFUSAL, "share": "< 120%"}, "between 0% and 100%"),
        ({"feature": REFUSAL, "share": "< 0%"}, "can never hold"),
        ({"feature": LATENCY, "p95": "< 3%"}, "only a share"),
        ({"feature": LATENCY, "p95": "< 3s per h"}, "only a rate"),
        ({"feature": LATENCY, "p95": 3}, "must be a limit"),
        ({"feature": LATENCY, "p95": "< 3s", "window": 500}, "must be a window"),
        ({"feature": LATENCY, "p95": "< 3s", "value": "x"}, "only share and rate"),
        ({"feature": LATENCY, "p99": "< 3s", "window": "100 events"}, "needs 200"),
        ({"rate": "< 3 per h"}, "length of time"),
        ({"rate": "< 3", "window": "1h"}, "per what"),
        ({"feature": LATENCY, "p95": "< 3s", "severity": "loud"}, "severity"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, object], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        Threshold.model_validate({"name": "n", **given})


def test_it_survives_json() -> None:
    one = Threshold.model_validate({"name": "n", "feature": LATENCY, "p95": "<= 250ms", "window": "30m"})
    assert Threshold.model_validate_json(one.model_dump_json()) == one
    assert one.statistic is Statistic.P95
    assert one.limit.value == 0.25


def test_an_alert_ends_further_inside_than_it_began() -> None:
    share = Threshold.model_validate({"name": "n", "feature": REFUSAL, "share": "> 98%"})
    assert share.limit.recovered_at(share.margin).value == pytest.approx(0.982)
    slow = Threshold.model_validate({"name": "n", "feature": LATENCY, "p95": "< 3s"})
    assert slow.limit.recovered_at(slow.margin).value == pytest.approx(2.7)
