"""Fixed thresholds as operators write them: `{name: fast, feature: call.latency.total_s, p95: "< 3s", window: 30m}`.

`Threshold` is one entry of `thresholds` in the settings of detection; a criterion with a `share` is another way to
write one (`monitor.criteria.criterion`). `monitor.detection.thresholds` watches them. The texts stay as they were
written, so that settings go through JSON and back unchanged; `limit_of` and `window_of` read them.

Pure. May import its neighbours in this package only.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from monitor.config_values.durations import parse_duration
from monitor.config_values.plain_errors import MisplacedError

SHARES = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
"""The statistics that are quantiles, by the share of values that are at most the quantile."""
SECONDS_PER = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0}
"""What a rate may be per, in seconds."""
DEFAULT_WINDOW = "500 events"
EVENTS = (10, 10_000)
"""Fewest and most events of a window: of fewer nothing can be said, and more are better given as a length of time."""
SPAN_S = (60.0, 7 * 86400.0)
"""Shortest and longest window in time: traffic comes in bursts of seconds, and what takes weeks is no alert."""
LEAST_EVENTS = 30
"""Events from which a mean or a share is judged, unless `at_least` says otherwise: the usual rule of thumb."""
EXPECTED_BEYOND = 2
"""Events that a limit of a share must allow in the window before it is judged: where it allows less than one, the first
bad event of a quiet night would be an alert."""
MOST_THRESHOLDS = 50
"""Of one stream: each costs some microseconds a batch, and more are no list that a person keeps in mind."""
RECOVERY_MARGIN = 0.1
"""How far inside its limit a value must be before the alert ends, as a share of the limit: a value at the limit itself
would open and end an alert with every look."""

MOST_CHARACTERS = 64
"""Of a limit or a window as text: longer ones are a mistake, and none needs to be read to say so."""

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"
_LIMIT = re.compile(
    rf"\s*(<=|<|>=|>)\s*({_NUMBER})\s*(%|(?!per\b)[A-Za-z][\w/]*)?(?:\s+per\s+(s|min|h|day))?\s*", re.ASCII
)
_EVENTS = re.compile(r"\s*(\d+)\s*events\s*", re.ASCII)
_TIME_UNITS = ("ms", "s", "m", "h", "d", "w")
_LIMIT_FORM = 'must be a limit such as "< 2%", "<= 3s" or "> 0.5"'
_WINDOW_FORM = 'must be a window such as 30m, 6h or "500 events"'


class Statistic(StrEnum):
    """What of the values in a window is compared with the limit."""

    SHARE = "share"
    MEAN = "mean"
    MEDIAN = "median"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"
    MIN = "min"
    MAX = "max"
    RATE = "rate"


class Limit(NamedTuple):
    """A limit as a number: shares from 0 to 1, times in seconds, rates per `per_s` seconds.

    `upper` says that values must stay below, `inclusive` that the limit itself is still inside. `unit` is what was
    written behind the number: `%`, `s` for every length of time, another word, or nothing.
    """

    upper: bool
    inclusive: bool
    value: float
    unit: str
    per: str

    def is_beyond(self, value: float) -> bool:
        """Whether a value is outside."""
        if self.upper:
            return value > self.value if self.inclusive else value >= self.value
        return value < self.value if self.inclusive else value <= self.value

    def recovered_at(self, margin: float) -> Limit:
        """The limit that a value must be inside of before an alert ends: further inside by `margin`."""
        return self._replace(value=self.value - margin if self.upper else self.value + margin)


class Window(NamedTuple):
    """The last `events` values, or those of the last `seconds`; the other one is 0."""

    events: int
    seconds: float


@lru_cache(maxsize=4096)
def limit_of(text: str) -> Limit:
    """Reads `< 2%`, `<= 3s`, `> 0.5`, `< 20 USD per h`. Raises `ValueError` with what must stand there."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        raise ValueError(_LIMIT_FORM)
    sign, number, unit, per = match[1], Decimal(match[2]), match[3] or "", match[4] or ""
    if unit == "%":
        number = number / 100
    elif unit in _TIME_UNITS:
        number, unit = number * Decimal(repr(parse_duration(f"1{unit}"))), "s"
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(_LIMIT_FORM)
    return Limit(sign[0] == "<", sign.endswith("="), value, unit, per)


@lru_cache(maxsize=4096)
def window_of(text: str) -> Window:
    """Reads `30m` or `500 events`. Raises `ValueError` with what must stand there."""
    match = _EVENTS.fullmatch(text)
    if match is not None:
        if not EVENTS[0] <= int(match[1]) <= EVENTS[1]:
            raise ValueError(
                f"must hold {EVENTS[0]} to {EVENTS[1]:,} events; for more give a length of time such as 6h"
            )
        return Window(int(match[1]), 0.0)
    try:
        seconds = parse_duration(text) if not text.strip().replace(".", "").isdecimal() else math.nan
    except ValueError:
        seconds = math.nan
    if math.isnan(seconds):
        raise ValueError(_WINDOW_FORM)
    if not SPAN_S[0] <= seconds <= SPAN_S[1]:
        raise ValueError("must be between 1m and 7d")
    return Window(0, seconds)


def _as_limit(given: object) -> object:
    """A limit's text as it was written. A bare number says neither `<` nor `>`, so it is none."""
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ValueError(_LIMIT_FORM)
    limit_of(given)
    return given


def _as_window(given: object) -> object:
    """A window's text as it was written. A bare number may be events or seconds, so it is none."""
    if given is None:
        return None
    if not isinstance(given, str) or len(given) > MOST_CHARACTERS:
        raise ValueError(_WINDOW_FORM)
    window_of(given)
    return given


LimitText = Annotated[str, BeforeValidator(_as_limit)]
WindowText = Annotated[str, BeforeValidator(_as_window)]


class Threshold(BaseModel):
    """A fixed limit for a statistic of one feature over a window."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64, description="its name, in alerts and reports")
    feature: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="a feature, such as call.latency.total_s; attributes.NAME for one of your own",
    )
    value: str | None = Field(
        None, min_length=1, max_length=200, description="of a category: the value whose share or rate is limited"
    )
    share: LimitText | None = Field(None, description='of events in which a flag is true, "< 2%"')
    mean: LimitText | None = Field(None, description='"< 0.05 USD"')
    median: LimitText | None = Field(None, description='"< 1s"')
    p90: LimitText | None = Field(None, description="the value that 90 % of the events do not exceed")
    p95: LimitText | None = Field(None, description='"< 3s"')
    p99: LimitText | None = Field(None, description='"< 10s"')
    min: LimitText | None = Field(None, description='of the smallest value, "> 0"')
    max: LimitText | None = Field(None, description='of the largest value, "< 30s"')
    rate: LimitText | None = Field(
        None,
        description='sum of the values in a length of time, "< 20 USD per h"; without a feature: events, "> 5 per min"',
    )
    window: WindowText = Field(DEFAULT_WINDOW, description='which events count: the last "500 events", or those of 30m')
    at_least: int | None = Field(
        None,
        ge=1,
        le=EVENTS[1],
        description="events with a value below which nothing is said; by default as many as the limit needs",
    )
    severity: Literal["warning", "critical"] = Field("warning", description="of its alerts")

    @model_validator(mode="after")
    def _makes_sense(self) -> Threshold:
        given = [statistic.value for statistic in Statistic if getattr(self, statistic.value) is not None]
        if len(given) != 1:
            known = ", ".join(statistic.value for statistic in Statistic)
            found = "none is given" if not given else f"{' and '.join(given)} are given"
            raise ValueError(f"needs one statistic with its limit ({known}); {found}")
        wrong = self._wrong(Statistic(given[0]))
        if wrong is not None:
            raise MisplacedError(wrong[1], wrong[0])
        return self

    def _wrong(self, statistic: Statistic) -> tuple[str, str] | None:
        """The key that does not fit the others, and what to change; None: all do."""
        limit, window, key = self.limit, window_of(self.window), statistic.value
        if self.feature is None and statistic is not Statistic.RATE:
            return "feature", f"{key} needs a feature such as call.latency.total_s"
        if self.value is not None and statistic not in (Statistic.SHARE, Statistic.RATE):
            return "value", f"only share and rate take the value of a category, not {key}"
        if statistic is Statistic.SHARE:
            if not 0.0 <= limit.value <= 1.0 or limit.unit not in ("%", ""):
                return key, 'must be between 0% and 100%, such as "< 2%"'
            if (limit.upper, limit.inclusive, limit.value) in ((True, False, 0.0), (False, False, 1.0)):
                return key, 'can never hold; write "<= 0%" for none, ">= 100%" for all'
        elif limit.unit == "%":
            return key, "only a share is in per cent"
        if statistic is Statistic.RATE:
            if not limit.per:
                return key, 'must say per what, such as "< 5 per h" (s, min, h, day)'
            if not window.seconds:
                return "window", "the window of a rate must be a length of time such as 1h"
        elif limit.per:
            return key, "only a rate is per time"
        if window.events and window.events < self.needed:
            return "window", (
                f"holds {window.events} events and {key} {getattr(self, key)} needs {self.needed} to be judged: widen "
                "it, or set at_least"
            )
        return None

    @property
    def statistic(self) -> Statistic:
        """The one that is given."""
        return next(statistic for statistic in Statistic if getattr(self, statistic.value) is not None)

    @property
    def limit(self) -> Limit:
        """The limit of its statistic."""
        return limit_of(getattr(self, self.statistic.value))

    @property
    def needed(self) -> int:
        """Events with a value from which it is judged."""
        if self.at_least is not None:
            return self.at_least
        statistic, limit = self.statistic, self.limit
        if statistic in (Statistic.MIN, Statistic.MAX, Statistic.RATE):
            return 1  # one event beyond the limit decides, whatever the others are
        if statistic is Statistic.SHARE:
            allowed = limit.value if limit.upper else 1.0 - limit.value
        else:
            allowed = 1.0 - SHARES[statistic.value] if statistic.value in SHARES else 1.0
        if allowed <= 0.0:
            return 1
        return max(LEAST_EVENTS, math.ceil(round(EXPECTED_BEYOND / allowed, 9)))

    @property
    def margin(self) -> float:
        """How far inside the limit its value must be before an alert ends."""
        limit = self.limit
        if self.statistic is Statistic.SHARE:
            return RECOVERY_MARGIN * min(limit.value, 1.0 - limit.value)
        return RECOVERY_MARGIN * abs(limit.value)


def _with_different_names(thresholds: tuple[Threshold, ...]) -> tuple[Threshold, ...]:
    names = [threshold.name for threshold in thresholds]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise MisplacedError(f"two thresholds have the name {name}", index, "name")
    return thresholds


Thresholds = Annotated[tuple[Threshold, ...], Field(max_length=MOST_THRESHOLDS), AfterValidator(_with_different_names)]
"""A pydantic field: thresholds of one place, each with another name."""
