"""Moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.alerting.rendering.moments import moment
from monitor.cli.moments import parse_moment
from monitor.errors import ConfigError

NOW = datetime(2026, 11, 30, 15, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("13:00", "2026-11-30 13:00:00"),
        ("16:30", "2026-11-29 16:30:00"),  # not yet today
        ("9:05:30", "2026-11-30 09:05:30"),
        ("13:00 UTC", "2026-11-30 13:00:00"),
        ("2h", "2026-11-30 13:00:00"),
        ("90m ago", "2026-11-30 13:30:00"),
        ("1d", "2026-11-29 15:00:00"),
        ("2026-11-30", "2026-11-30 00:00:00"),
        ("2026-11-30 13:00", "2026-11-30 13:00:00"),
        ("2026-11-30T13:00+01:00", "2026-11-30 12:00:00"),
        ("2026-11-30 13:00:05 UTC", "2026-11-30 13:00:05"),
    ],
)
def test_moments_are_read_in_utc(text: str, wanted: str) -> None:
    assert moment(parse_moment(text, NOW, "--since"), zone=False) == wanted


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:61", "5", "-1h", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        parse_moment(text, NOW, "--since")


def test_a_time_that_is_not_known_is_a_dash_and_one_beyond_the_calendar_a_question_mark() -> None:
    assert (moment(None), moment(1e18)) == ("-", "?")
