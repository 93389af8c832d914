from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config_values.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("15m", 900),
        ("12 h", 43_200),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        (3, 3),
        ("4", 4),
    ],
)
def test_reads_what_operators_write(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5 parsecs", "-3s", None, True, [], "1h30m", "٣s"])
def test_refuses_what_is_no_duration(text: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(text)


@given(st.integers(1, 10**7), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_writing_and_reading_is_the_identity(count: int, unit: str) -> None:
    seconds = parse_duration(f"{count}{unit}")
    assert parse_duration(format_duration(seconds)) == seconds
