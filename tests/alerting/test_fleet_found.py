"""One provider's update, found by detection itself in two hundred streams, told through the dispatch."""

from __future__ import annotations

from itertools import pairwise

import pytest

from monitor.alerting.from_finding import from_finding
from monitor.alerting.lifecycle.book import AlertBook
from monitor.alerting.lifecycle.dispatch import Dispatch
from monitor.alerting.lifecycle.incident_fanout import SPREAD_SETTLED_S, Audience
from monitor.detection import Finding, StreamMonitor
from tests.detection.streams import CHARS, SETTINGS, SPECS, WARMUP, WORDS, calm, fired, replay

STREAMS = 200
AT = WARMUP + 40
MODELS = [{"model.name": "gpt-x", "model.version": "1"}]


def found_in(number: int) -> list[Finding]:
    """What a stream's owner finds when its outputs become twice as long behind the same version."""
    stream = f"team-{number:03}/answer"
    traffic = calm(AT + 80, seed=number, stream=stream, segments=MODELS, version=None, embeddings=False)
    for name in (CHARS, WORDS):
        traffic[name][AT:] *= 2.5
    return fired(replay(StreamMonitor(stream, SETTINGS, SPECS), traffic))


@pytest.mark.slow
def test_people_hear_of_it_once_when_it_begins_and_once_when_it_has_spread() -> None:
    findings = [finding for number in range(STREAMS) for finding in found_in(number)]
    findings.sort(key=lambda finding: finding.raised_at.time or 0.0)
    assert len({finding.stream for finding in findings}) == STREAMS
    assert {finding.model for finding in findings} == {"gpt-x"}
    desk = Dispatch(AlertBook())
    tellings = []
    for finding in findings:
        assert finding.raised_at.time is not None
        tellings += desk.alert(from_finding(finding), finding.raised_at.time)
    last = findings[-1].raised_at.time
    assert last is not None
    tellings += desk.due(last + SPREAD_SETTLED_S)
    people = [telling.alert for telling in tellings if telling.to is not Audience.EACH]
    # A cause that turns out graver than its first stream said is told at once.
    graver = sum(before.severity is not after.severity for before, after in pairwise(people))
    assert len(people) == 2 + graver
    assert graver <= 1
    assert len({told.fingerprint for told in people}) == 1
    assert people[-1].title.startswith(f"{STREAMS} streams: ")
    each = [telling.alert for telling in tellings if telling.to is not Audience.INCIDENT]
    assert len(each) == len(findings)
    assert len({alert.incident for alert in each}) == 1
