"""What a finding prints is what the rows give: each side is the statistic that it is said to be."""

from __future__ import annotations

import re

import numpy as np
import pytest

from monitor.detection.diagnosis.sentences import sentence
from monitor.detection.records.declared_features import DeclaredFeatures
from monitor.detection.records.finding import ANY, DIFFERS, SPREAD, TAIL, FeatureChange, Finding
from monitor.features.base import Kind
from tests.detection.streams import (
    CHARS,
    EMPTY,
    FENCES,
    LANGUAGE,
    LISTS,
    REFUSAL,
    SENTIMENT,
    SPECS,
    WORDS,
    Traffic,
    calm,
    fired,
    replay,
    watch,
)

DECLARED = DeclaredFeatures(SPECS)
AT = 700


def bent(seed: int) -> Traffic:
    """Traffic with one to three changes drawn at random, of all events or of some, from event `AT` on."""
    draws = np.random.default_rng(seed)
    traffic = calm(1000, seed=seed)
    hit = np.flatnonzero((np.arange(1000) >= AT) & (draws.random(1000) < draws.choice([0.3, 0.6, 1.0])))
    for name in draws.choice([CHARS, WORDS, SENTIMENT, LISTS, REFUSAL, EMPTY, FENCES, LANGUAGE], 3, replace=False):
        if name == LANGUAGE:
            for row in hit:
                traffic.categories[LANGUAGE][row] = "it"
        elif DECLARED[name].kind is Kind.FLAG:
            traffic[name][hit] = 1.0
        elif name in (FENCES, LISTS):
            traffic[name][hit] = draws.integers(1, 4, len(hit))
        else:
            traffic[name][hit] = traffic[name][hit] * draws.choice([0.5, 2.0]) - (name == SENTIMENT)
        if draws.random() < 0.4:
            break
    return traffic


def of_rows(change: FeatureChange, traffic: Traffic, rows: slice) -> float:
    """The statistic of a change, recomputed from rows of the traffic."""
    if change.name == LANGUAGE:
        return float(np.mean([value == change.value for value in traffic.categories[LANGUAGE][rows]]))
    values = traffic[change.name][rows]
    values = values[np.isfinite(values)]
    if change.statistic == ANY:
        return float((values != 0).mean())
    if change.statistic == DIFFERS:
        assert change.value is not None
        return float((values != float(change.value)).mean())
    return float(values.mean() if DECLARED[change.name].kind is Kind.FLAG else np.median(values))


def first_finding(traffic: Traffic) -> Finding:
    return fired(replay(watch(), traffic))[0]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_printed_is_what_the_rows_give(seed: int) -> None:
    traffic = bent(seed)
    found = first_finding(traffic)
    since, before = slice(found.began_at.index, found.raised_at.index + 1), slice(0, AT)
    assert found.features
    for change in found.features:
        if change.name not in (*traffic.columns, LANGUAGE) or change.name.endswith((SPREAD, TAIL)):
            continue
        assert change.after == pytest.approx(of_rows(change, traffic, since), rel=0.02, abs=0.006), change
        assert change.before == pytest.approx(of_rows(change, traffic, before), rel=0.15, abs=0.05), change
        said = sentence(change, DECLARED)
        share = change.statistic or DECLARED[change.name].kind in (Kind.FLAG, Kind.CATEGORY)
        assert change.events == since.stop - since.start
        counts = re.search(r"\((\d+) of (\d+)", said)
        if counts is not None:
            assert int(counts[2]) == change.events
            assert int(counts[1]) == round(of_rows(change, traffic, since) * change.events)
        assert ("%" in said or " instead of " in said) is bool(share), said
