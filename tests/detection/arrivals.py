"""Arrivals of events: counts of each minute of a stream that goes about its ordinary business, seeded.

Each kind is a way in which real traffic is not a steady Poisson stream. Nothing here may raise a finding about volume;
`changed` bends a part of it, which must.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

MINUTE_S = 60.0
DAY_MINUTES = 1440
START = 1_699_963_200.0
"""A Tuesday at noon, UTC; the last weekends of the year are in it, too."""

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


def _clock(minutes: int) -> tuple[Array, NDArray[np.bool_]]:
    """Hour of the day (n) and whether it is a weekend (n)."""
    time = START + MINUTE_S * np.arange(minutes)
    weekend = ((time - 4 * 86400) // 86400) % 7 >= 5
    return (time % 86400) / 3600, weekend


def steady(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """Poisson at one rate."""
    return rng.poisson(mean, minutes)


def bursty(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """Negative binomial: the variance is the mean plus its square."""
    return rng.poisson(mean * rng.gamma(1.0, 1.0, minutes))


def wandering(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """The logarithm of the rate is AR(1), 0.97 from minute to minute, standard deviation 0.8."""
    rho, sd = 0.97, 0.8
    noise = rng.normal(size=minutes) * sd * math.sqrt(1 - rho * rho)
    return rng.poisson(mean * np.exp(lfilter([1.0], [1.0, -rho], noise) - sd * sd / 2))


def spiky(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """Twice a day a burst of one to seven minutes, 2 to 30 times the usual rate."""
    rate = np.full(minutes, mean)
    for start in rng.integers(0, minutes, minutes // 700):
        rate[start : start + rng.integers(1, 8)] *= rng.uniform(2, 30)
    return rng.poisson(rate)


def daily(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """A day's cycle, 0.1 to 1.9 times the mean."""
    hour, _ = _clock(minutes)
    return rng.poisson(mean * (1 + 0.9 * np.sin(2 * np.pi * hour / 24)))


def weekly(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """A day's cycle, a third of it at weekends, and days that are better or worse by a fifth."""
    hour, weekend = _clock(minutes)
    days = np.exp(0.2 * rng.normal(size=minutes // DAY_MINUTES + 1)).repeat(DAY_MINUTES)[:minutes]
    return rng.poisson(mean * (1 + 0.9 * np.sin(2 * np.pi * hour / 24)) * np.where(weekend, 0.3, 1.0) * days)


def office(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """From nine to six on working days, at once and at full rate; next to nothing otherwise."""
    hour, weekend = _clock(minutes)
    return rng.poisson(np.where((hour >= 9) & (hour < 18) & ~weekend, mean, 0.002 * mean))


def nightly(rng: np.random.Generator, minutes: int, mean: float) -> Counts:
    """A batch of a quarter of an hour each night, and nothing else."""
    hour, _ = _clock(minutes)
    return rng.poisson(np.where((hour >= 2.1) & (hour < 2.35), 20 * mean, 0.0))


KINDS: Mapping[str, Callable[[np.random.Generator, int, float], Counts]] = {
    "steady": steady,
    "bursty": bursty,
    "wandering": wandering,
    "spiky": spiky,
    "daily": daily,
    "weekly": weekly,
    "office": office,
    "nightly": nightly,
}


def changed(rng: np.random.Generator, counts: Counts, at: int, factor: float) -> Counts:
    """The same from minute `at` on at `factor` times the rate."""
    out = counts.copy()
    out[at:] = rng.binomial(out[at:], factor) if factor <= 1 else rng.poisson(out[at:] * factor)
    return out


def times_of(rng: np.random.Generator, counts: Counts) -> Array:
    """Event times, seconds since 1970, ascending: each minute's events anywhere within it."""
    within = rng.random(int(counts.sum())) * MINUTE_S
    times: Array = np.sort(START + np.repeat(np.arange(len(counts)), counts) * MINUTE_S + within)
    return times
