from __future__ import annotations

import contextlib
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.errors import InvalidEvent
from monitor.events import Reason
from monitor.events.times import in_calendar, moment_of, text_of

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00 Z",
        "2026-01-31 12:00:00 UTC",
        "2026-01-31 12:00:00 GMT",
        "2026-01-31 12:00:00UTC",
        "2026-01-31 12:00",
        "2026-01-31T12",
        "2026-01-31T12:00:00+00:00",
        "2026-01-31T12:00:00-00:00",
        "2026-01-31T12:00:00+0000",
        "2026-01-31 12:00:00+00",
        "2026-01-31 13:00:00 +0100",
        "2026-01-31T06:30:00\u221205:30",
        "2026-01-31T12:00:00Z[UTC]",
        "2026-01-31T13:00:00+01:00[Europe/Paris]",
        "2026-01-31T13:00:00[Europe/Paris]",
        "2026-01-31 13:00:00.000 Europe/Paris",
        "2026-01-31 12:00:00 +0000 UTC",
        "2026-01-31 12:00:00 +0000 UTC m=+0.001",
        "2026/01/31 12:00:00",
        "2026.01.31 12:00:00",
        "20260131T120000Z",
        "20260131120000",
        "31.01.2026 12:00",
        "Sat, 31 Jan 2026 12:00:00 GMT",
        "31/Jan/2026:12:00:00 +0000",
        "Jan 31, 2026 @ 12:00:00.000",
        "January 31, 2026 12:00 PM",
        "Sat Jan 31 12:00:00 UTC 2026",
        "Sat Jan 31 2026 13:00:00 GMT+0100 (Central European Standard Time)",
        "1769860800",
        "1769860800.0",
        "1769860800000",
        "1769860800000000",
        "1769860800000000000",
        "1.7698608e9",
    ],
)
def test_common_spellings_of_one_moment(text: str) -> None:
    assert moment_of(text).seconds == NOON
    assert moment_of(f"  {text}\n").seconds == NOON


@pytest.mark.parametrize("digits", ["5", "50", "500000", "5000000", "5000000001", "500000000000000000000"])
@pytest.mark.parametrize("mark", [".", ","])
def test_fractions_of_any_length(digits: str, mark: str) -> None:
    assert moment_of(f"2026-01-31T12:00:00{mark}{digits}Z").seconds == pytest.approx(NOON + 0.5, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "seconds", "unit"),
    [
        (NOON, NOON, None),
        (int(NOON), NOON, None),
        (NOON * 1e3, NOON, "milliseconds"),
        (NOON * 1e6, NOON, "microseconds"),
        (int(NOON) * 10**9, NOON, "nanoseconds"),
        (20260131, NOON - 43_200, None),
        (20260131120000, NOON, None),
        (0, 0.0, None),
        (-5.5, -5.5, None),
        (5e10, 5e10, None),  # in no unit a time between 2000 and 2100: taken as it is
        (638_500_000_000_000_000, 6.385e17, None),  # .NET ticks
        ({"$date": "2026-01-31T12:00:00Z"}, NOON, None),
        ({"$date": {"$numberLong": "1769860800000"}}, NOON, None),
        ({"seconds": "1769860800", "nanos": 0}, NOON, None),
    ],
)
def test_numbers_say_their_unit_by_their_size(value: Any, seconds: float, unit: str | None) -> None:
    assert moment_of(value) == (seconds, unit)


@pytest.mark.parametrize(
    "value",
    [
        "noon", "", "12:00", "2026-02-30", "2026-01-31T25:00:00Z", "10000-01-01T00:00:00Z", "0000-01-01", "infinity",
        "2026-01-31T12:00:00+99:00", True, None, [], {}, {"seconds": "x"}, math.inf, -math.inf, math.nan, 1e30, 10**400,
        "9" * 30, "2026-01-31" + " " * 100_000 + "x", "2026-01-31T12:00:00[Mars/Olympus]",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_with_advice(value: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        moment_of(value)
    assert caught.value.reason == Reason.BAD_TIME
    assert "2026-01-31T12:00:00Z" in caught.value.detail


@pytest.mark.parametrize(
    ("text", "why"), [("1/2/2026 12:00", "day/month or month/day"), ("2026-01-31 12:00:00 CST", "no one meaning")]
)
def test_what_has_two_readings_is_refused_with_both(text: str, why: str) -> None:
    with pytest.raises(InvalidEvent, match=why):
        moment_of(text)


@given(st.one_of(st.text(max_size=200), st.text("0123456789-:.+TtZz/, UTC", max_size=40), st.integers(), st.floats()))
def test_nothing_else_than_a_time_or_a_refusal_comes_out(value: Any) -> None:
    with contextlib.suppress(InvalidEvent):
        assert math.isfinite(moment_of(value).seconds)


@given(st.floats())
def test_no_number_is_outside_of_the_calendar(seconds: float) -> None:
    assert f"{in_calendar(seconds):%A %Y-%m-%d %H:%M:%S}"


@given(st.floats())
def test_a_time_for_people_whatever_the_number(seconds: float) -> None:
    assert text_of(seconds)
