"""Moments on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from monitor.cli.moments import parse_moment, show_moment
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
    assert show_moment(parse_moment(text, NOW, "--since")) == wanted


@pytest.mark.parametrize("text", ["", "soon", "25:00", "12:61", "5", "-1h", "2026-13-01"])
def test_what_is_no_moment_is_refused_with_the_option(text: str) -> None:
    with pytest.raises(ConfigError, match="--since"):
        parse_moment(text, NOW, "--since")


def test_a_time_beyond_the_calendar_is_a_dash() -> None:
    assert show_moment(None) == show_moment(1e18) == "-"
