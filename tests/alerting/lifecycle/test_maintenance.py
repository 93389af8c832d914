from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.lifecycle.maintenance import MaintenanceWindow, Weekly


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def window(text: str) -> MaintenanceWindow:
    return MaintenanceWindow.model_validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("time", "covered"),
    [
        ("2026-11-28T21:59:59+00:00", False),
        ("2026-11-28T22:00:00+00:00", True),
        ("2026-11-29T01:59:59+00:00", True),
        ("2026-11-29T02:00:00+00:00", False),
    ],
)
def test_once_from_its_start_to_its_end(time: str, covered: bool) -> None:
    once = window("{match: 'batch/*', start: 2026-11-28T22:00:00Z, end: 2026-11-29T02:00:00Z}")
    assert once.covers("batch/nightly", at(time)) is covered
    assert not once.covers("live/answer", at(time))


@pytest.mark.parametrize(
    ("time", "covered"),
    [
        ("2026-11-28T22:59:00+01:00", False),  # a Saturday
        ("2026-11-28T23:00:00+01:00", True),
        ("2026-11-29T05:29:00+01:00", True),
        ("2026-11-29T05:30:00+01:00", False),
        ("2026-11-29T23:30:00+01:00", False),  # Sunday's night is not among its days
        ("2026-07-04T23:30:00+02:00", True),  # in summer by the same clock on the wall
        ("2026-07-04T22:30:00+02:00", False),
    ],
)
def test_each_week_past_midnight_by_local_time(time: str, covered: bool) -> None:
    weekly = window("weekly: {days: [sat], start: '23:00', end: '05:30', timezone: Europe/Vienna}")
    assert weekly.covers("any", at(time)) is covered


def test_a_time_that_yaml_takes_for_a_number_is_a_time() -> None:
    weekly = window("weekly: {start: 12:30, end: 13:00}")
    assert weekly.covers("any", at("2026-11-23T12:45:00+00:00"))
    assert not weekly.covers("any", at("2026-11-23T12:15:00+00:00"))


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 7 * 24 - 1))
def test_every_day_covers_the_hours_between(start: int, end: int, hour: int) -> None:
    weekly = Weekly.model_validate({"start": f"{start:02}:00", "end": f"{end:02}:00"})
    length = (end - start) % 24 or 24
    time = datetime(2026, 11, 23, tzinfo=UTC).timestamp() + 3_600 * hour
    assert weekly.covers(time) is ((hour - start) % 24 < length)


def test_utc_needs_no_data_base_of_zones() -> None:
    code = (
        "import zoneinfo; zoneinfo.ZoneInfo = None\n"
        "from monitor.alerting.lifecycle.maintenance import Weekly\n"
        "print(Weekly(start='00:00', end='12:00').covers(3600.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{match: x}", "either start and end, or weekly"),
        ("{start: 2026-11-28T22:00:00Z}", "come together"),
        ("{start: 2026-11-28T22:00:00Z, end: 2026-11-28T22:00:00Z}", "must end after"),
        ("{start: 2026-11-28T22:00:00, end: 2026-11-29T22:00:00Z}", "timezone"),
        ("{start: 2026-11-28T22:00:00Z, weekly: {start: '01:00', end: '02:00'}}", "either start and end, or weekly"),
        ("weekly: {start: '01:00', end: '02:00', timezone: Mars/Olympus}", "no such time zone"),
        ("weekly: {start: '25:00', end: '02:00'}", "start"),
        ("weekly: {start: '01:00', end: '02:00', days: [someday]}", "days"),
        ("weekly: {start: '01:00', end: '02:00', days: []}", "at least 1"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        window(text)
