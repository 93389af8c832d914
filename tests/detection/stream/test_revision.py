"""What fires is measured again when more rows have come: same finding, truer figures."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from monitor.detection import Finding, State
from monitor.detection.records.control import Control, ControlAction
from monitor.detection.records.finding import Severity
from tests.detection.streams import CHARS, EMPTY, REFUSAL, Traffic, calm, replay, watch

CHANGE = 900
TRUE_SHARE = 0.3


def refusing(n: int = 2400, until: int | None = None) -> Traffic:
    """Calm traffic in which three outputs of ten refuse from `CHANGE` on, until a row."""
    traffic = calm(n, seed=1)
    until = n if until is None else until
    traffic[REFUSAL][CHANGE:until] = np.random.default_rng(3).random(until - CHANGE) < TRUE_SHARE
    return traffic


def updates(found: list[Finding]) -> list[Finding]:
    return [finding for finding in found if finding.is_update]


def share(finding: Finding) -> float:
    (after,) = (change.after for change in finding.features if change.name == REFUSAL)
    assert isinstance(after, float)
    return after


def test_what_fires_is_measured_again_at_64_200_and_800_rows() -> None:
    found = replay(watch(), refusing(), revisions=True)
    (first,) = [finding for finding in found if finding.opens]
    revised = updates(found)
    assert [finding.revision for finding in revised] == [1, 2, 3][: len(revised)]
    assert len(revised) >= 2
    for finding in revised:
        assert (finding.id, finding.kind, finding.driver) == (first.id, first.kind, first.driver)
        assert (finding.raised_at, finding.began_at) == (first.raised_at, first.began_at)
        assert finding.evidence == first.evidence
        assert {each.event_id for each in finding.excerpts_before} == set(first.examples.before)
        assert finding.examples.before == [each.event_id for each in finding.excerpts_before]
    assert abs(share(revised[-1]) - TRUE_SHARE) < 0.06
    measured = [finding.measured_events or 0 for finding in revised]
    assert measured == sorted(measured)


def test_the_figures_are_those_of_the_rows_that_were_measured() -> None:
    traffic = refusing()
    at = 0
    monitor = watch()
    for start in range(0, len(traffic), 10):
        for finding in updates(monitor.observe(traffic.batch(start, start + 10))):
            at += 1
            last = monitor.events - monitor.waiting
            rows = traffic[REFUSAL][last - (finding.measured_events or 0) : last]
            assert share(finding) == pytest.approx(np.nanmean(rows), rel=0.01)
    assert at >= 2


def test_nothing_else_is_raised_or_resolved_because_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    traffic = refusing(3000, until=1600)
    traffic[CHARS][2400:] *= 2
    found = replay(watch(), traffic, revisions=True)
    assert updates(found)
    monkeypatch.setattr("monitor.detection.stream.revision.STAGES", ())
    without = replay(watch(), traffic, revisions=True)
    assert not updates(without)

    def when(findings: list[Finding]) -> list[object]:
        return [(f.id, f.state, f.raised_at, f.began_at, f.resolution) for f in findings if not f.is_update]

    assert when(found) == when(without)


def test_the_end_says_what_the_latest_revision_said_and_nothing_comes_after_it() -> None:
    found = replay(watch(), refusing(2400, until=1300), revisions=True)
    (end,) = [place for place, finding in enumerate(found) if finding.state is State.RESOLVED]
    assert not updates(found[end:])
    latest = updates(found)[-1]
    assert (found[end].title, found[end].features) == (latest.title, latest.features)
    assert " Resolved: " in found[end].cause
    assert found[end].resolution is not None


def test_a_change_that_is_over_is_not_measured_with_the_rows_after_it() -> None:
    """It ends before the second stage, and is resolved only some hundred rows later."""
    found = replay(watch(), refusing(2400, until=CHANGE + 90), revisions=True)
    for finding in updates(found):
        assert share(finding) > TRUE_SHARE / 2


def test_accepted_meanwhile_nothing_is_measured_again() -> None:
    traffic, monitor = refusing(), watch()
    found = replay(monitor, traffic, 0, 1060, revisions=True)
    assert any(finding.opens for finding in found)
    monitor.control(Control(action=ControlAction.ACCEPT, stream="s", by="ada"))
    assert not updates(replay(monitor, traffic, 1060, revisions=True))


def test_how_rows_are_cut_and_snapshots_change_nothing() -> None:
    traffic = refusing()
    whole = replay(watch(), traffic, size=2400, revisions=True)
    assert updates(whole)
    found, monitor = [], watch()
    for start in range(0, len(traffic), 37):
        found += monitor.observe(traffic.batch(start, min(start + 37, len(traffic))))
        restored = watch()
        restored.restore(monitor.snapshot())
        monitor = restored
    assert [msgspec.json.encode(f) for f in found] == [msgspec.json.encode(f) for f in whole]


def test_a_second_change_ends_the_wait_of_the_first() -> None:
    traffic = refusing()
    traffic[CHARS][1150:] *= 3
    found = replay(watch(), traffic, revisions=True)
    _, second = (finding for finding in found if finding.opens)
    later = [f for f in found[found.index(second) :] if f.is_update]
    assert later
    assert {f.id for f in later} == {second.id}


def test_the_severity_follows_what_more_rows_say() -> None:
    """Longer at first; then it shows that outputs are also empty now and then, which is a failure."""
    traffic = calm(2400, seed=1)
    traffic[CHARS][CHANGE:] *= 2
    traffic[EMPTY][CHANGE + 60 :: 12] = 1.0
    found = replay(watch(), traffic, revisions=True)
    first = next(finding for finding in found if finding.opens)
    assert first.severity is Severity.WARNING
    criticals = [f for f in found if f.severity is Severity.CRITICAL and f.state is State.FIRING]
    assert criticals
