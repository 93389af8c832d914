"""Alerts that nobody would write: for the laws that a rendering keeps whatever stands in an alert."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from monitor.alerting.alert import Alert, ChangedFeature, Links
from monitor.alerting.rendering.samples import sample_alert
from monitor.detection.records.finding import BeganAt, Examples, Excerpt, RaisedAt, Severity, State

NASTY = (
    "<!channel> <@U12345> <https://evil.example|Runbook>",
    "*_~`bold`~_* ```code``` :rotating_light: &amp; <b>&lt;",
    "a\u0301" * 200,
    "\U0001f525" * 300,
    "\x1b[2J\r\nSubject: x\r\n\r\nbody \u202eolleh \ud800",
    "&<>" * 2_000,
    "",
)
_times = st.none() | st.sampled_from([0.0, -1e12, 1e20, 1_763_890_867.0])


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert: every text and length out of hand, states and severities in every combination."""
    # A few texts in many places: what matters is which text stands where, not that each differs.
    words = draw(st.lists(st.text(max_size=30), min_size=1, max_size=3))
    word = st.sampled_from([*NASTY, *words, *(20 * w for w in words)])
    value = st.none() | st.floats() | word
    change = st.builds(
        ChangedFeature, name=word, meaning=word, unit=word, before=value, after=value, effect=st.floats(-1e6, 1e6),
        before_text=word, after_text=word, difference=word,
    )  # fmt: skip
    excerpts = st.lists(st.builds(Excerpt, event_id=word, input=word, output=word), max_size=4)
    index = st.integers(0, 10**12)
    url = st.sampled_from(["https://x.example/a?b=1&c=<2>|3", "https://x.example/" + "x" * 5_000]) | word
    state = draw(st.sampled_from([State.FIRING, State.RESOLVED, State.INFO]))
    return msgspec.structs.replace(
        sample_alert(state),
        severity=draw(st.sampled_from(list(Severity))),
        stream=draw(word),
        title=draw(word),
        cause=draw(word),
        owner=draw(word),
        segment=draw(st.none() | st.dictionaries(word, word, max_size=4)),
        began_at=draw(st.builds(BeganAt, index=index, low=index, high=index, time=_times)),
        raised_at=draw(st.builds(RaisedAt, event_id=st.none() | word, index=index, time=_times)),
        changes=draw(st.lists(change, max_size=8)),
        examples=draw(st.builds(Examples, before=st.lists(word, max_size=3), after=st.lists(word, max_size=3))),
        excerpts_before=draw(excerpts),
        excerpts_after=draw(excerpts),
        next_steps=draw(st.lists(word, max_size=8)),
        also_in=draw(st.lists(word, max_size=5)),
        incident=draw(st.none() | word),
        links=Links(runbook=draw(url), dashboard=draw(st.none() | url), trace=draw(st.none() | url)),
    )
