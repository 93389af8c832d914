"""Is anything named that did not change? Segments where all changed alike, and outputs where only the call changed.

    python -m benchmarks.naming_beside [--runs 200] [--seed 1]

Each run is one stream with two attributes (three locales, four tenants). In `everywhere` a change hits all of them,
and a finding that names a segment is wrong; in `one segment` it hits one locale, which ought to be named; in `call
only` only latency changes, and a finding that lists a feature of the outputs is wrong.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import Report
from monitor.detection.records.finding import Finding
from tests.detection.streams import CHARS, LATENCY, REFUSAL, SENTIMENT, Traffic, calm, fired, replay, watch

EVENTS, AT = 1100, 700
SEGMENTS = [
    {"attributes.locale": locale, "attributes.tenant": tenant}
    for locale, tenant in product(("en", "de", "es"), ("north", "south", "west", "east"))
]

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


def run(seed: int, bend: Bend, locale: str | None) -> Finding | None:
    """The first finding of one stream whose events (of this locale; None: all) are bent from `AT` on."""
    draws = np.random.default_rng([seed, 17])
    traffic = calm(EVENTS, seed=seed, segments=SEGMENTS)
    hit = [locale in (None, segment["attributes.locale"]) for segment in traffic.segments]
    rows = np.flatnonzero(np.asarray(hit) & (np.arange(EVENTS) >= AT))
    bend(traffic, rows, draws)
    return next((finding for finding in fired(replay(watch(), traffic)) if finding.raised_at.index >= AT), None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is asked for and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.naming_beside")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rows = []
    for label, bend, locale in (
        ("everywhere", _outputs, None),
        ("one segment", _outputs, "de"),
        ("call only", _call, None),
    ):
        counts: Counter[str] = Counter()
        for seed in range(options.seed, options.seed + options.runs):
            found = run(seed, bend, locale)
            if found is None:
                continue
            counts["found"] += 1
            counts["segment"] += found.segment is not None
            counts["the locale"] += locale is not None and (found.segment or {}).get("attributes.locale") == locale
            counts["outputs"] += any(change.name.startswith("output.") for change in found.features)
        rows.append([label, *(counts[name] for name in ("found", "segment", "the locale", "outputs"))])
    heads = ["change", "found", "name a segment", "name the locale", "list an output feature"]
    Report(Console(width=120)).table(f"What is named beside the change, {options.runs} runs each", heads, rows)


if __name__ == "__main__":
    main()
