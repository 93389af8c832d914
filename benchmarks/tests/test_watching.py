from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.tests.test_scenarios import corpus
from benchmarks.watching import alarms, listen, monitor, seeded
from monitor.detection import DetectionSettings, StreamMonitor
from monitor.features.batch import FeatureBatch


def shifted(n: int, shift: float) -> FeatureBatch:
    batch = corpus(2 * n).batch
    rng = np.random.default_rng(1)
    batch.values = rng.normal(size=(2 * n, 1)).astype(np.float32) * 100 + 1_000
    batch.values[n:] += shift * 100
    return batch


def test_a_run_ends_with_the_first_alarm() -> None:
    batch = shifted(1_000, 3.0)
    watching = monitor()
    heard = listen(watching, batch, np.arange(2_000), "x")
    assert heard.fired is not None
    assert 1_000 <= heard.fired.raised_at.index < 1_050
    assert watching.events < 1_150


def test_false_alarms_start_afresh_and_do_not_count_warm_up() -> None:
    batch = shifted(1_000, 3.0)
    there_and_back = np.concatenate([np.arange(1_000), 1_000 + np.arange(1_000)])
    found = alarms(batch, there_and_back)
    assert len(found.fired) == 1
    index = found.fired[0].raised_at.index
    warmup = DetectionSettings().warmup
    assert found.events == index + 1 - warmup + max(0, 2_000 - (index + 1) - warmup)


def test_another_run_length_than_a_budget_may_ask() -> None:
    assert monitor(1_000.0).mean_run_length() == 1_000
    assert monitor().mean_run_length() == pytest.approx(1e5)
    assert isinstance(monitor(), StreamMonitor)


def test_seeds_depend_on_names_alone() -> None:
    assert seeded("a", 1).random() == seeded("a", 1).random()
    assert not math.isclose(seeded("a", 1).random(), seeded("a", 2).random())
