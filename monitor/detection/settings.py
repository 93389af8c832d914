"""Settings of detection for one stream, with their defaults and the reason for each.

These models are composed into `monitor.settings` and may be overridden per stream pattern in `monitor.yaml`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from monitor.config_values.durations import Duration
from monitor.config_values.thresholds import Thresholds
from monitor.detection.detectors.registry import NAMES, check
from monitor.features.declared_attributes import MAX_DECLARED, DeclaredAttribute, by_name

SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def parse_budget(text: object) -> tuple[float, float]:
    """`"1 per 30d"` -> (1.0, 2592000.0): alerts allowed, and the period in seconds."""
    if isinstance(text, (tuple, list)) and len(text) == 2 and all(isinstance(part, (int, float)) for part in text):
        alerts, period = float(text[0]), float(text[1])
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:per|/)\s*(\d+(?:\.\d+)?)?\s*([smhdw])\s*", str(text))
        if match is None:
            raise ValueError('must look like "1 per 30d" (units s, m, h, d, w)')
        alerts, period = float(match[1]), float(match[2] or 1) * SECONDS[match[3]]
    if not (0 < alerts < math.inf and 0 < period < math.inf):
        raise ValueError("must be > 0")
    return alerts, period


def _format_budget(budget: tuple[float, float]) -> str:
    """What `parse_budget` reads back as exactly the same numbers."""
    alerts, period = budget
    unit = next((unit for unit in ("d", "h", "m") if period % SECONDS[unit] == 0), "s")
    return f"{_decimal(alerts)} per {_decimal(period / SECONDS[unit])}{unit}"


def _decimal(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), "f")


AlertBudget = Annotated[
    tuple[float, float], BeforeValidator(parse_budget), PlainSerializer(_format_budget, return_type=str)
]


VOLUME_FLOORS = (0.1, 0.95)
"""Least and most of a floor of volume: below, ordinary hours would ring; above, only a full stop."""


class Floors(BaseModel):
    """Effect floors: the smallest change worth waking for, in natural units and per kind (docs/statistics.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: float = Field(0.25, ge=0, description="robust standard deviations of the reference")
    spread: float = Field(0.25, ge=0, description="relative change of a number's standard deviation")
    flag: float = Field(0.03, ge=0, le=1, description="absolute change of a rate")
    failure: float = Field(0.01, ge=0, le=1, description="absolute change of a failure flag's rate")
    category: float = Field(0.05, ge=0, le=1, description="total variation between the shares")
    volume: float = Field(
        0.5,
        ge=VOLUME_FLOORS[0],
        le=VOLUME_FLOORS[1],
        description="share of usual events that is lost; 0.5: half of them, or twice as many",
    )


def _known_detector(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"there is no detector {name!r}; there are {', '.join(sorted(NAMES))}")
    return name


class DetectorChoice(BaseModel):
    """A detector for each number that matches `features` (glob over feature names), in place of the joint evidence.

    Flags, categories, and numbers that were constant in the reference stay in the evidence: a detector of a single
    number cannot judge them. Of several choices that match a number the last counts. The table of detectors is
    `monitor.detection.detectors.registry`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: str = "*"
    detector: Annotated[str, AfterValidator(_known_detector)]
    parameters: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _parameters_make_sense(self) -> DetectorChoice:
        check(self.detector, self.parameters)
        return self


class Objective(BaseModel):
    """A service level objective: the share of calls that must be fast enough, or must not end in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=64)
    latency_s: float | None = Field(None, gt=0, description="seconds within which a call without an error is good")
    errors: bool = Field(False, description="a call without an error is good")
    objective: float = Field(gt=0.5, lt=1, description="share of calls that are good")
    period: Duration = Field(30 * SECONDS["d"], ge=7 * SECONDS["d"], le=90 * SECONDS["d"], validate_default=True)

    @model_validator(mode="after")
    def _says_what_is_good(self) -> Objective:
        if self.errors == (self.latency_s is not None):
            raise ValueError("give latency_s, or errors: true")
        return self


class DetectionSettings(BaseModel):
    """How one stream is watched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    alert_budget: AlertBudget = Field(
        (1.0, 30 * SECONDS["d"]), validate_default=True, description='false alerts a stream may raise, "1 per 30d"'
    )
    # As few as keep false alarms of young streams below 1 of 200 (`benchmarks/young.py`).
    warmup: int = Field(200, ge=100, le=5000, description="events that the first reference is learned from")
    mature: int = Field(2000, ge=0, le=20000, description="events without a change after which the reference is fixed")
    features: tuple[str, ...] = Field(("*",), description="globs of the features that detection uses")
    exclude: tuple[str, ...] = Field((), description="globs of features that detection leaves out")
    floors: Floors = Field(default_factory=Floors)
    detectors: tuple[DetectorChoice, ...] = Field(
        (),
        description="numbers that a detector of a single number watches in place of the joint evidence, such as "
        '[{features: "output.length.*", detector: adwin, parameters: {delta: 0.001}}]; '
        f"detector: {', '.join(sorted(NAMES))}; flags, categories and constants that match stay in the evidence; of "
        "several entries that match a number the last counts; oqm check-config says what matches",
    )
    alert_on: tuple[Literal["output", "call", "input", "mix", "volume"], ...] = Field(
        ("output", "call", "volume"), description="drivers of a change, and volume, that page; others are information"
    )
    canary: tuple[str, ...] = Field(
        ("model.version", "model.fingerprint", "prompt.version"),
        description="attributes whose values are compared while two of them run at the same time; []: none",
    )
    attributes: tuple[DeclaredAttribute, ...] = Field(
        (),
        max_length=MAX_DECLARED,
        description="attributes that say something of an output, such as [{name: stars, kind: number, worse: down}, "
        "{name: resolved, kind: flag, worse: down}, {name: verdict, kind: category}, {name: build, kind: ignore}]; "
        "others are recognised by their names (docs/howto/attributes.md)",
    )
    recovery: int = Field(
        200,
        ge=20,
        le=5000,
        description="minimum number of events before an alert resolves; low rates need more to be sure",
    )
    slo: tuple[Objective, ...] = Field(
        (),
        description="service level objectives whose error budget must not burn too fast, such as "
        "[{name: fast, latency_s: 2.0, objective: 0.99}, {name: served, errors: true, objective: 0.999, period: 30d}]",
    )
    thresholds: Thresholds = Field(
        (),
        description="fixed limits over a window, each an alert by itself, outside of the alert budget, such as "
        '[{name: fast, feature: call.latency.total_s, p95: "< 3s", window: 30m}, '
        '{name: refusals, feature: output.tone.refusal, share: "< 2%", window: 500 events}]',
    )
    silence_after: float | None = Field(
        None, gt=0, description="seconds without an event that raise an alert; null: what is usual at that hour"
    )

    watch_volume: bool = Field(
        True, description="whether a change of the rate of events, and silence, are watched; false for rare samples"
    )

    forget_after: Duration = Field(
        90 * SECONDS["d"],
        ge=SECONDS["d"],
        validate_default=True,
        description="a stream without an event for this long is removed, and its open alerts are resolved",
    )

    @model_validator(mode="after")
    def _objectives_have_names_of_their_own(self) -> DetectionSettings:
        if len({objective.name for objective in self.slo}) < len(self.slo):
            raise ValueError("slo: two objectives have the same name")
        return self

    @model_validator(mode="after")
    def _attributes_are_declared_once(self) -> DetectionSettings:
        names = [attribute.name for attribute in self.attributes]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"attributes: {twice[0]} is declared more than once")
        return self

    @property
    def declared_attributes(self) -> Mapping[str, DeclaredAttribute]:
        """The declared attributes by name."""
        return by_name(self.attributes)
