"""A threshold in words: `p95 latency 4.1 s, limit 3 s (last 500 events)`.

Called by `threshold_monitor` for alerts and for the status of a stream. Pure.
"""

from __future__ import annotations

import math

from monitor.config_values.durations import in_words
from monitor.config_values.thresholds import Statistic, Threshold, window_of
from monitor.detection.diagnosis.rounding import number
from monitor.detection.diagnosis.sentences import share
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.thresholds.limited_values import ATTRIBUTE
from monitor.detection.thresholds.window_counts import Reading
from monitor.features.base import Kind, Role
from monitor.features.change_words import WORDS, as_within
from monitor.features.nouns import noun_of
from monitor.statistics.rates import wilson

SHOWN_DIGITS = 2
"""Of a value beside its limit; more only where they are needed to see on which side of the limit it is."""
MOST_DIGITS = 5  # with more, value and limit are the same to a reader
_STATISTICS = {Statistic.MIN: "smallest ", Statistic.MAX: "largest ", Statistic.RATE: ""}


def headline(threshold: Threshold, reading: Reading, specs: DeclaredFeatures) -> str:
    """What the window holds beside the limit; the value is known."""
    now, limit = sides(threshold, reading.value, specs)
    return f"{subject(threshold, specs)}{now}, limit {limit} ({_window(threshold, reading)})"


def cause(threshold: Threshold, reading: Reading, specs: DeclaredFeatures) -> str:
    """The counts behind the headline, and what a fixed threshold is."""
    limit = threshold.limit
    sign = ("at most" if limit.upper else "at least") if limit.inclusive else ("below" if limit.upper else "above")
    _, written = sides(threshold, reading.value, specs)
    of = f" of {threshold.feature}" if threshold.feature is not None else " of events"
    if threshold.value is not None:
        of += f"={threshold.value}"
    said = [f"The threshold {threshold.name} asks for a {threshold.statistic.value}{of} {sign} {written}."]
    counted = f"{reading.beyond:,} of the {reading.values:,} events of the window"
    if threshold.statistic is Statistic.SHARE:
        hits = reading.beyond if limit.upper else reading.values - reading.beyond
        interval = wilson(hits, reading.values)
        low, high = share(interval.low), share(interval.high)
        said.append(
            f"It is true of {hits:,} of the {reading.values:,} events of the window; by these, the share lies between "
            f"{low} and {high} with 95 % confidence."
        )
    elif threshold.statistic is not Statistic.RATE and reading.beyond:
        said.append(f"{counted} are themselves beyond the limit.")
    said.append("It is a fixed limit of the settings, whatever is usual for this stream.")
    return " ".join(said)


def back_inside(threshold: Threshold, reading: Reading, specs: DeclaredFeatures) -> str:
    """Why an alert ends, as a sentence without its full stop."""
    now, limit = sides(threshold, reading.value, specs)
    return f"{subject(threshold, specs)}{now}, inside the limit of {limit} again ({_window(threshold, reading)})"


def state_in_words(threshold: Threshold, reading: Reading, specs: DeclaredFeatures, *, firing: bool) -> str:
    """Where a threshold stands now; `cannot tell` where there are too few events."""
    if reading.known:
        where = "alert" if firing else "outside" if reading.outside else "inside"
        return f"{headline(threshold, reading, specs)}: {where}"
    if threshold.statistic is Statistic.RATE:
        why = f"{_span(threshold)} of traffic have not passed yet"
    else:
        why = f"{reading.values:,} of the {threshold.needed:,} events that it needs"
    kept = "; its alert stays open meanwhile" if firing else ""
    return f"{subject(threshold, specs).strip()}: cannot tell, {why}{kept}"


def subject(threshold: Threshold, specs: DeclaredFeatures) -> str:
    """What is limited, with a space behind it: `p95 latency `, `Answers violate concise in `."""
    name, statistic = threshold.feature, threshold.statistic
    if name is None:
        return "events "
    if statistic in (Statistic.SHARE, Statistic.RATE):
        said = _event_words(threshold, specs)
        if said is not None:
            return f"{said} in " if statistic is Statistic.SHARE else f"{said}: "
    return f"{_STATISTICS.get(statistic, statistic.value + ' ')}{noun(name)} "


def noun(name: str) -> str:
    """What people call a feature, or an attribute."""
    return f"attribute {name.removeprefix(ATTRIBUTE)}" if name.startswith(ATTRIBUTE) else noun_of(name)


def _event_words(threshold: Threshold, specs: DeclaredFeatures) -> str | None:
    """What is true of an event that counts, for flags and categories; None for numbers."""
    name = threshold.feature or ""
    if threshold.value is not None:
        return f"{noun(name)}={threshold.value}"
    spec = specs.spec(name)
    if spec is not None and spec.role is Role.CHECK:
        return f"Answers violate {name.rpartition('.')[2]}"
    if spec is None or spec.kind is not Kind.FLAG:
        return f"any {noun(name)}" if threshold.statistic is Statistic.SHARE else None
    words = WORDS.get(name)
    return words.rose if words is not None and words.rose else as_within(spec.meaning)


def sides(threshold: Threshold, value: float | None, specs: DeclaredFeatures) -> tuple[str, str]:
    """The value and the limit as text, with as many digits as tell them from each other."""
    limit = threshold.limit
    if value is None:
        return "unknown", _written(threshold, limit.value, SHOWN_DIGITS, specs)
    at = _written(threshold, limit.value, MOST_DIGITS, specs)
    for digits in range(SHOWN_DIGITS, MOST_DIGITS + 1):
        now = _written(threshold, value, digits, specs)
        if value == limit.value or (
            now != at and limit.is_beyond(float(f"{value:.{digits}g}")) == limit.is_beyond(value)
        ):
            break
    return now, at


def _written(threshold: Threshold, value: float, digits: int, specs: DeclaredFeatures) -> str:
    cut = float(f"{value:.{digits}g}") if abs(value) < 10**digits else float(round(value))
    if threshold.statistic is Statistic.SHARE:
        return f"{_plain(100 * cut, digits)} %"
    spec = specs.spec(threshold.feature or "")
    unit = threshold.limit.unit or ("" if spec is None or spec.kind is Kind.FLAG else spec.unit)
    per = f" per {threshold.limit.per}" if threshold.limit.per else ""
    return f"{_plain(cut, digits)}{f' {unit}' if unit else ''}{per}"


def _plain(value: float, digits: int) -> str:
    if value == 0 or not math.isfinite(value) or abs(value) >= 1000 or value == int(value):
        return number(value)
    return f"{value:.{digits}g}" if abs(value) >= 1e-3 else f"{value:.2g}"


def _window(threshold: Threshold, reading: Reading) -> str:
    events = f"{reading.values:,} event{'s' * (reading.values != 1)}"
    if window_of(threshold.window).events:
        return f"last {events}"
    return f"last {_span(threshold)}, {events}"


def _span(threshold: Threshold) -> str:
    return in_words(window_of(threshold.window).seconds, least=1.0)
