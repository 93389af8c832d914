"""Maintenance windows: times in which the alerts of some streams are not sent.

Pure: whether a window covers a moment is asked with that moment. May import `monitor.detection` and below.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock_time(value: object) -> object:
    """YAML 1.1 reads a bare `12:30` as 750, a number to the base of sixty."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
        return time_of_day(value // 60, value % 60)
    return value


def _zone(name: str) -> tzinfo:
    """The time zone; UTC needs no data base of zones, which a small container may lack."""
    return UTC if name == "UTC" else ZoneInfo(name)


ClockTime = Annotated[time_of_day, BeforeValidator(_clock_time)]


class Weekly(BaseModel):
    """The same hours on some days of each week, in local time; past midnight where the end is not after the start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: tuple[Day, ...] = Field(DAYS, min_length=1, description="days on which it starts: mon, tue, ...")
    start: ClockTime = Field(description="HH:MM")
    end: ClockTime = Field(description="HH:MM; not after start: on the next day")
    timezone: str = Field("UTC", description="such as Europe/Vienna")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            _zone(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no such time zone here: {name}") from None
        return name

    def covers(self, time: float) -> bool:
        """Whether `time` (seconds since 1970) is inside; the end itself is not."""
        zone = _zone(self.timezone)
        today = datetime.fromtimestamp(time, zone).date()
        return any(self._starts_on(day) and self._covers(day, time, zone) for day in (today, today - timedelta(days=1)))

    def _starts_on(self, day: date) -> bool:
        return DAYS[day.weekday()] in self.days

    def _covers(self, day: date, time: float, zone: tzinfo) -> bool:
        start = datetime.combine(day, self.start, zone)
        last = day if self.end > self.start else day + timedelta(days=1)
        # As instants, so that the hour that the clocks skip or repeat is counted as it passes.
        return start.timestamp() <= time < datetime.combine(last, self.end, zone).timestamp()


class MaintenanceWindow(BaseModel):
    """Streams whose alerts wait: from one moment to another, or each week.

    An alert that fires inside is sent when the window ends, if it still fires; one that resolves inside is never sent.
    The end of an alert that was sent before is sent as usual.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    match: str = Field("*", min_length=1, description="glob on the stream's name")
    start: AwareDatetime | None = Field(None, description="such as 2026-11-28T22:00:00Z, with its time zone")
    end: AwareDatetime | None = Field(None, description="the same; alerts wait no longer than this")
    weekly: Weekly | None = Field(None, description="instead of start and end: days, start, end, timezone")
    reason: str = Field("", description="why, for people who read the settings")

    @model_validator(mode="after")
    def _one_of_both(self) -> MaintenanceWindow:
        if (self.weekly is None) == (self.start is None and self.end is None):
            raise ValueError("needs either start and end, or weekly")
        if self.weekly is None:
            if self.start is None or self.end is None:
                raise ValueError("start and end come together")
            if self.end <= self.start:
                raise ValueError("must end after it starts")
        return self

    def covers(self, stream: str, time: float) -> bool:
        """Whether an alert of `stream` waits at `time` (seconds since 1970)."""
        if not fnmatchcase(stream, self.match):
            return False
        if self.weekly is not None:
            return self.weekly.covers(time)
        assert self.start is not None
        assert self.end is not None
        return self.start.timestamp() <= time < self.end.timestamp()
