"""A change of a category names its value, a tail says where it begins, and a change that grows is reported once."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.detection import FindingKind, StreamMonitor
from monitor.detection.diagnosis.sentences import share as share_in_words
from monitor.detection.records.finding import FeatureChange, Finding, Severity
from tests.detection.streams import CHARS, LANGUAGE, LATENCY, SETTINGS, SPECS, Traffic, calm, fired, replay, watch


def change_of(finding: Finding, name: str) -> FeatureChange:
    [change] = [change for change in finding.features if change.name == name]
    return change


def speaking(share: float, language: str | None, *, n: int = 900, at: int = 600) -> Traffic:
    """From event `at` on, this share of the events has another language."""
    traffic = calm(n, seed=4)
    turned = np.random.default_rng(5).random(n) < share
    traffic.categories[LANGUAGE][at:] = [
        language if now else before for now, before in zip(turned[at:], traffic.categories[LANGUAGE][at:], strict=True)
    ]
    return traffic


@pytest.mark.parametrize("value", ["fr", "nl", None])
def test_the_value_that_rose_is_named_whether_the_reference_knew_it_or_not(value: str | None) -> None:
    [finding] = fired(replay(watch(), speaking(0.4, value)))
    change = change_of(finding, LANGUAGE)
    assert change.value == (value or "none")
    assert isinstance(change.after, float)
    assert change.before == pytest.approx(0.05 if value == "fr" else 0.0, abs=0.02)
    assert change.after == pytest.approx(0.43 if value == "fr" else 0.4, abs=0.12)
    said = {"fr": "Answers are in French", "nl": "Answers are in Dutch", None: "The language of answers is unknown"}
    assert finding.title.startswith(f"s: {said[value]} in ")


def test_among_many_new_values_the_commonest_is_named() -> None:
    traffic = calm(900, seed=4)
    new = ["it", "nl", "nl", "pt"]
    traffic.categories[LANGUAGE][600:] = [new[i % 4] for i in range(300)]
    [finding] = fired(replay(watch(), traffic))
    change = change_of(finding, LANGUAGE)
    assert (change.value, change.after) == ("nl", pytest.approx(0.5, abs=0.1))


def test_values_survive_a_snapshot() -> None:
    traffic = speaking(0.4, "nl")
    whole, first, second = watch(), watch(), watch()
    expected = replay(whole, traffic)
    found = replay(first, traffic, 0, 600)
    for event in range(600, 900):
        found += [f for f in first.observe(traffic.batch(event, event + 1)) if not f.is_update]
        second.restore(first.snapshot())
        first, second = second, StreamMonitor("s", SETTINGS, SPECS)
    assert found == expected
    assert first.snapshot() == whole.snapshot()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("share", [0.05, 0.1])
def test_a_tail_alone_is_latency_and_says_where_it_begins(share: float, seed: int) -> None:
    traffic = calm(2600, seed=seed)
    hangs = np.random.default_rng(seed).random(2600) < share
    hangs[:1000] = False
    traffic[LATENCY][hangs] *= 10
    finding = fired(replay(watch(), traffic))[0]
    assert finding.kind is FindingKind.LATENCY
    change = change_of(finding, f"{LATENCY}.tail")
    assert change.value is not None
    assert change.value.startswith("above 2.")
    assert change.value.endswith(" s")
    assert change.before == pytest.approx(0.01, abs=0.012)
    assert isinstance(change.after, float)
    assert share / 2 < change.after < 3 * share  # it is found where they happen to come thick and fast
    assert f" in some calls: {share_in_words(change.after)}" in finding.title
    assert f" {change.value}, " in finding.title


def test_a_change_that_grows_is_reported_again_only_when_it_becomes_critical() -> None:
    traffic = calm(4000, seed=3)
    growing = np.clip((np.arange(4000) - 1000) / 2000, 0, 1)
    traffic[LATENCY][:] *= np.exp(1.2 * growing)
    first, *more = fired(replay(watch(), traffic))
    assert (first.kind, first.severity) == (FindingKind.LATENCY, Severity.WARNING)
    [critical] = more
    assert (critical.kind, critical.severity) == (FindingKind.LATENCY, Severity.CRITICAL)
    assert critical.began_at == first.began_at
    assert critical.id != first.id
    assert change_of(critical, LATENCY).before == pytest.approx(
        1.22, abs=0.1
    )  # of the reference, not of the step before


@pytest.mark.parametrize(("at", "reported"), [(1400, 1), (2800, 2)])
def test_a_second_step_the_same_way_is_the_same_change_only_soon_after(at: int, reported: int) -> None:
    traffic = calm(3600, seed=3)
    traffic[LATENCY][1000:] *= 1.4
    traffic[LATENCY][at:] *= 1.4
    found = fired(replay(watch(), traffic))
    assert len([finding for finding in found if finding.severity is Severity.WARNING]) == reported


def test_another_change_behind_one_that_fires_is_reported() -> None:
    traffic = calm(3000, seed=3)
    traffic[LATENCY][1000:] *= 1.5
    traffic[CHARS][2000:] *= 2
    first, second = fired(replay(watch(), traffic))
    assert first.kind is FindingKind.LATENCY
    assert second.features[0].name.startswith("output.length.")
