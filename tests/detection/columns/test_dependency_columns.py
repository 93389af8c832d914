"""Each dependency of a stream by itself: which one it was, and that not calling one is no change of it."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection import DetectionSettings, Finding, FindingKind, StreamMonitor
from monitor.detection.columns.dependency_columns import MAX_DEPENDENCIES
from monitor.detection.records.finding import base_name
from monitor.features.families.dependencies import DURATION, ERRORS, NO_CALLS, SHAPE, Called, Calls, keyed
from tests.detection.streams import SETTINGS, SPECS, Traffic, calm, decoded, fired, named, replay, watch

NAMES = ("orders", "search", "billing")
SHARES = (0.4, 0.25, 0.15)
USUAL = DetectionSettings()


def calling(n: int, seed: int, shares: tuple[float, ...] = SHARES) -> list[Calls]:
    """n events, each of which calls a dependency with these chances."""
    rng = np.random.default_rng(seed)
    return [
        {
            name: Called(float(np.float32(np.exp(rng.normal(-2.5, 0.4)))), bool(rng.random() < 0.004), f"{name}-1")
            for name, share in zip(NAMES, shares, strict=True)
            if rng.random() < share
        }
        or NO_CALLS
        for _ in range(n)
    ]


def traffic(n: int = 2000, seed: int = 1) -> Traffic:
    made = calm(n, seed)
    made.calls = calling(n, seed)
    return made


def strike(made: Traffic, dependency: str, at: int, **change: object) -> Traffic:
    assert made.calls is not None
    made.calls[at:] = [
        {name: one._replace(**change) if name == dependency else one for name, one in calls.items()}
        for calls in made.calls[at:]
    ]
    return made


def one(findings: list[Finding]) -> Finding:
    [finding] = fired(findings)
    assert finding.kind is FindingKind.DEPENDENCY
    return finding


@pytest.mark.parametrize("dependency", NAMES)
def test_the_dependency_that_changed_its_format_is_named_with_the_new_shape(dependency: str) -> None:
    finding = one(replay(watch(USUAL), strike(traffic(), dependency, 1000, shape="new")))
    assert finding.title.startswith(
        f"s: Dependency {dependency} answers in another format (new) in 100 % of its calls ("
    )
    assert finding.features[0].name == keyed(SHAPE, dependency)


@pytest.mark.parametrize("dependency", NAMES)
def test_the_dependency_that_fails_is_named(dependency: str) -> None:
    finding = one(replay(watch(USUAL), strike(traffic(), dependency, 1000, failed=True)))
    assert finding.title.startswith(f"s: Dependency {dependency} fails in ")
    assert keyed(ERRORS, dependency) in named(finding)


@pytest.mark.parametrize("dependency", NAMES)
def test_the_dependency_that_got_slow_is_named_with_its_times(dependency: str) -> None:
    finding = one(replay(watch(USUAL), strike(traffic(), dependency, 1000, duration_s=1.5)))
    assert base_name(finding.features[0].name) == keyed(DURATION, dependency)
    assert finding.title.startswith(f"s: Dependency {dependency} is slower: ")


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("shares", [(0.1, 0.6, 0.3), (0.8, 0.05, 0.02)])
def test_how_often_each_is_called_is_no_change_of_it(seed: int, shares: tuple[float, ...]) -> None:
    made = traffic(3000, seed)
    assert made.calls is not None
    made.calls[1000:] = calling(2000, seed + 10, shares)
    assert fired(replay(watch(USUAL), made)) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_calling_none_is_no_change_of_any(seed: int) -> None:
    made = traffic(2000, seed)
    assert made.calls is not None
    made.calls[1000:] = [NO_CALLS] * 1000
    assert fired(replay(watch(USUAL), made)) == []


def test_only_the_commonest_have_columns() -> None:
    made = calm(1200, 2)
    many = [f"d{i}" for i in range(9)]
    rng = np.random.default_rng(2)
    made.calls = [{many[k]: Called(0.1, False, "s")} for k in np.minimum(rng.geometric(0.3, 1200) - 1, 8)]
    monitor = watch()
    replay(monitor, made)
    chosen = decoded(monitor.snapshot())["features"][0]
    assert 1 <= len(chosen) <= MAX_DEPENDENCIES
    assert chosen[0] == "d0"


@pytest.mark.parametrize("size", [1, 37, 2000])
def test_the_cut_of_batches_and_snapshots_change_nothing(size: int) -> None:
    made = strike(traffic(1300), "orders", 900, shape="new")
    assert made.calls is not None
    made.calls[150:180] = [NO_CALLS] * 30
    whole = watch()
    expected = replay(whole, made, revisions=True)
    first, found = watch(), []
    for start in range(0, 1300, size):
        found += first.observe(made.batch(start, start + size))
        if start % 5 == 0:
            second = StreamMonitor("s", SETTINGS, SPECS)
            second.restore(first.snapshot())
            first = second
    assert found == expected
    assert first.snapshot() == whole.snapshot()
