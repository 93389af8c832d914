"""Is anything named that did not change? Segments where all changed alike, and outputs where only the call changed.

    python -m benchmarks.naming_beside [--runs 200] [--seed 1]

Each run is one stream with two attributes (three locales, four tenants). In `everywhere` a change hits all of them,
and a finding that names a segment is wrong; in `one segment` it hits one locale, which ought to be named; in `call
only` only latency changes, and a finding that lists a feature of the outputs is wrong.
"""

from __future__ import annotations

import argparse
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import Report
from monitor.detection.records.finding import Finding, published
from tests.detection.streams import CHARS, LATENCY, REFUSAL, SENTIMENT, Traffic, calm, fired, replay, watch

EVENTS, AT = 1100, 700
SEGMENTS = [
    {"attributes.locale": locale, "attributes.tenant": tenant}
    for locale, tenant in product(("en", "de", "es"), ("north", "south", "west", "east"))
]

ONE_LOCALE = "de"
AT_ONCE = 50
"""Events shown at once after the change: most are found within these."""

Bend = Callable[[Traffic, NDArray[np.intp], np.random.Generator], None]


def _outputs(traffic: Traffic, rows: NDArray[np.intp], draws: np.random.Generator) -> None:
    kind = draws.integers(3)
    if kind == 0:
        traffic[CHARS][rows] *= draws.choice([0.5, 1.5, 2.5])
    elif kind == 1:
        traffic[REFUSAL][rows[draws.random(len(rows)) < draws.choice([0.3, 0.8])]] = 1.0
    else:
        traffic[SENTIMENT][rows] -= draws.choice([0.3, 0.6])


def _call(traffic: Traffic, rows: NDArray[np.intp], draws: np.random.Generator) -> None:
    hit = rows if draws.random() < 0.5 else rows[draws.random(len(rows)) < 0.15]
    traffic[LATENCY][hit] *= draws.choice([1.4, 2.0, 6.0])


CHANGES: tuple[tuple[str, Bend, str | None], ...] = (
    ("everywhere", _outputs, None),
    ("one segment", _outputs, ONE_LOCALE),
    ("call only", _call, None),
)
"""What changes, how, and in which locale (None: all)."""


def streams(seed: int) -> Iterator[tuple[str, bool, Finding | None]]:
    """What each kind of change of one stream is found as: its label, whether one locale has it, and the first finding.

    All of them begin after the same events, so these are watched once, and each goes on from a copy of the monitor up
    to its first finding.
    """
    traffic, monitor = _traffic(seed), watch()
    replay(monitor, traffic, stop=AT)
    for label, bend, locale in CHANGES:
        draws = np.random.default_rng([seed, 17])
        changed, copied = _traffic(seed), copy.deepcopy(monitor)
        hit = [locale in (None, segment["attributes.locale"]) for segment in changed.segments]
        bend(changed, np.flatnonzero(np.asarray(hit) & (np.arange(EVENTS) >= AT)), draws)
        found = (replay(copied, changed, start, start + AT_ONCE, size=AT_ONCE) for start in range(AT, EVENTS, AT_ONCE))
        yield label, locale is not None, next((one for few in found for one in fired(few)), None)


def _traffic(seed: int) -> Traffic:
    return calm(EVENTS, seed=seed, segments=SEGMENTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naming_beside")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    counts: dict[str, Counter[str]] = {label: Counter() for label, *_ in CHANGES}
    for seed in range(options.seed, options.seed + options.runs):
        for label, narrow, found in streams(seed):
            if found is not None:
                segment = (found.segment or {}).get("attributes.locale")
                counts[label]["found"] += 1
                counts[label]["segment"] += found.segment is not None
                counts[label]["the locale"] += narrow and segment == ONE_LOCALE
                counts[label]["outputs"] += any(
                    change.name.startswith("output.") for change in published(found).features
                )
    said = ("found", "segment", "the locale", "outputs")
    rows = [[label, *(counts[label][name] for name in said)] for label in counts]
    heads = ["change", "found", "name a segment", "name the locale", "list an output feature"]
    Report(Console(width=120)).table(f"What is named beside the change, {options.runs} runs each", heads, rows)


if __name__ == "__main__":
    main()
