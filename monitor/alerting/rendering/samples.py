"""A made-up finding, to try a sink or a template before something breaks.

Pure. May import `monitor.detection` and below.
"""

from __future__ import annotations

import msgspec

from monitor.alerting.alert import Alert
from monitor.alerting.from_finding import from_finding
from monitor.alerting.rendering.links import LinkTemplates
from monitor.detection.records.finding import (
    BeganAt,
    Driver,
    Ended,
    Examples,
    Excerpt,
    FeatureChange,
    Finding,
    FindingKind,
    RaisedAt,
    Resolution,
    Severity,
    State,
    finding_id,
)
from monitor.features.base import FeatureSpec, Kind, Worse

SPECS = {
    spec.name: spec
    for spec in (
        FeatureSpec("output.length.chars", Kind.COUNT, "characters of the output", unit="characters"),
        FeatureSpec("output.tone.hedging", Kind.NUMBER, "hedging words per 100 words", unit="per 100 words"),
        FeatureSpec("output.format.bullets", Kind.FLAG, "has a bulleted list"),
        FeatureSpec("output.tone.sentiment", Kind.NUMBER, "sentiment from -1 to 1"),
        FeatureSpec("call.latency.total_s", Kind.NUMBER, "seconds to the last byte", unit="s", worse=Worse.UP),
    )
}
"""Declarations of the features in the sample."""
_CHANGES = [
    FeatureChange("output.length.chars", 412.0, 1_180.0, 14.2),
    FeatureChange("output.tone.hedging", 0.41, 1.93, 6.1),
    FeatureChange("output.format.bullets", 0.12, 0.71, 19.7),
    FeatureChange("output.tone.sentiment", -0.05, 0.38, 3.4),
    FeatureChange("call.latency.total_s", 1.84, 3.9, 5.0),
]
_BEFORE = [
    Excerpt(
        "evt-1190",
        "How do I change the card on my account?",
        "Go to Settings > Billing > Cards and choose Replace.",
    ),
    Excerpt("evt-1195", "my order 88121 is late", "It left our depot yesterday and arrives on Thursday."),
    Excerpt("evt-1201", "cancel pls", "Done. You will not be charged again; access ends on 30 June."),
]
_AFTER = [
    Excerpt(
        "evt-1211",
        "How can I change my delivery address?",
        "Great question! I'd be more than happy to help you with that. Generally speaking, it may be possible "
        "to change the address, depending on where your order is at",
    ),
    Excerpt(
        "evt-1226",
        "refund?",
        "I completely understand how frustrating this might feel! While I can't be entirely certain, refunds "
        "usually take around 5 to 10 business days:\n- check your bank",
    ),
    Excerpt(
        "evt-1240",
        "does it work with [e-mail]",
        "Thank you so much for reaching out! It could perhaps work with most providers, although you might "
        "want to check a few things first: 1. your mail server",
    ),
]


def sample_finding(
    state: State = State.FIRING, *, stream: str = "support-bot/answer", time: float | None = 1_763_890_867.0
) -> Finding:
    """A silent model update in `stream`, noticed at `time` (seconds since 1970)."""
    kind, driver, segment = FindingKind.SILENT_UPDATE, Driver.OUTPUT, {"model.name": "gpt-4o"}
    end = None if time is None else time + 3_600.0
    resolution = Resolution(
        how=Ended.RECOVERED,
        why="output.format.bullets is back at 12.4% (12.0% before, 71.0% while it lasted) for 412 events",
        index=2_140,
        time=end,
        back_events=412,
        lasted_events=524,
        lasted_s=None if end is None else 2_940.0,
    )
    return Finding(
        stream=stream,
        state=state,
        resolution=resolution if state is State.RESOLVED else None,
        id=finding_id(stream, kind, driver, segment, 1_242),
        kind=kind,
        cause="No version, fingerprint or prompt changed with it: gpt-4o itself answers otherwise than before.",
        driver=driver,
        raised_at=RaisedAt(event_id="evt-1242", index=1_242, time=time),
        began_at=BeganAt(index=1_204, low=1_197, high=1_209, time=None if time is None else time - 187.0),
        features=list(_CHANGES),
        segment=segment,
        examples=Examples(before=["evt-1190", "evt-1195", "evt-1201"], after=["evt-1211", "evt-1226", "evt-1240"]),
        title="answers 2.9 times longer and 4.7 times more hedged since 09:38 UTC, with gpt-4o",
        severity=Severity.WARNING,
        runbook=kind.value,
        evidence=6.21,
        threshold=5.0,
        excerpts_before=list(_BEFORE),
        excerpts_after=list(_AFTER),
    )


def sample_alert(
    state: State = State.FIRING,
    *,
    stream: str = "support-bot/answer",
    time: float | None = 1_763_890_867.0,
    owner: str = "team-support",
    route: str = "default",
    links: LinkTemplates | None = None,
) -> Alert:
    """The alert of `sample_finding`."""
    return from_finding(
        sample_finding(state, stream=stream, time=time), owner=owner, route=route, links=links, specs=SPECS
    )


TEST_STREAM = "oqm-test"


def drill_alert(state: State = State.FIRING, *, time: float, links: LinkTemplates | None = None) -> Alert:
    """The sample marked as a test, for a receiver that people look at; `time` (seconds since 1970) makes its id."""
    finding = sample_finding(state, stream=TEST_STREAM, time=time)
    finding = msgspec.structs.replace(
        finding,
        id=finding_id(TEST_STREAM, finding.kind, finding.driver, finding.segment, int(1_000 * time)),
        title="this is a test, nothing is wrong; a real alert would say: answers 2.9 times longer, with gpt-4o",
        cause="Somebody ran `oqm alert test` to see whether alerts arrive here. No answer is needed.",
    )
    return from_finding(finding, owner="whoever ran the test", route="oqm-test", links=links, specs=SPECS)
