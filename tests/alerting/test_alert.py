from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.alert import (
    Alert,
    cause_alone,
    decode,
    encode,
    from_finding,
    resolved_because,
    resolved_in_full,
    transition_key,
    unit_beside,
)
from monitor.alerting.rendering.links import PLACEHOLDERS, LinkTemplates, fill
from monitor.alerting.rendering.next_steps import next_steps
from monitor.alerting.rendering.samples import SPECS, sample_alert, sample_finding
from monitor.detection.records.finding import BeganAt, Ended, FeatureChange, FindingKind, State
from monitor.detection.records.finding_kinds import KINDS
from monitor.features.base import FeatureSpec, Kind


def test_an_alert_keeps_the_findings_identity() -> None:
    finding = sample_finding()
    alert = from_finding(finding, specs=SPECS)
    assert (alert.id, alert.fingerprint, alert.state) == (finding.id, finding.id, State.FIRING)
    assert alert.transition == transition_key(finding.id, State.FIRING) == f"{finding.id}:firing"
    assert (alert.began_at, alert.raised_at, alert.examples) == (finding.began_at, finding.raised_at, finding.examples)


def test_json_and_back_is_the_same_alert() -> None:
    alert = sample_alert()
    assert decode(encode(alert)) == alert
    with pytest.raises(msgspec.DecodeError):
        decode(b'{"fingerprint": 3}')


def test_a_later_versions_additional_fields_are_ignored() -> None:
    data = msgspec.json.decode(encode(sample_alert()))
    assert decode(msgspec.json.encode({**data, "from_the_future": 1})) == sample_alert()


def test_the_schema_of_the_record_can_be_exported() -> None:
    schema = msgspec.json.schema(Alert)
    assert "fingerprint" in schema["$defs"]["Alert"]["required"]


@pytest.mark.parametrize("kind", list(FindingKind))
def test_every_kind_has_a_headline_and_next_steps(kind: FindingKind) -> None:
    assert KINDS[kind].headline
    steps = next_steps(kind, "a stream; rm -rf /")
    assert 2 <= len(steps) <= 4
    assert all("{" not in step for step in steps)
    for step in steps:
        if "a stream" in step:
            assert "'a stream; rm -rf /'" in step  # to be pasted into a shell


@pytest.mark.parametrize("kind", list(FindingKind))
def test_an_alert_of_every_kind_names_its_runbook(kind: FindingKind) -> None:
    finding = msgspec.structs.replace(sample_finding(), kind=kind, runbook="", title="")
    alert = from_finding(finding)
    assert alert.links.runbook == f"config/runbooks/{kind.value}.md"
    assert alert.title == f"{KINDS[kind].headline} in support-bot/answer since 09:38 UTC"


@pytest.mark.parametrize("runbook", ["silent_update", "silent_update.md", "config/runbooks/silent_update.md"])
def test_the_runbook_may_be_named_as_name_or_path(runbook: str) -> None:
    templates = LinkTemplates(runbook="https://wiki/{runbook}")
    alert = from_finding(msgspec.structs.replace(sample_finding(), runbook=runbook), links=templates)
    assert alert.links.runbook == "https://wiki/silent_update"


def test_labels_are_the_same_in_every_state_and_hold_no_score() -> None:
    firing, resolved = sample_alert(State.FIRING), sample_alert(State.RESOLVED)
    assert firing.labels == resolved.labels
    assert firing.labels == {
        "alertname": "SilentUpdate",
        "fingerprint": firing.fingerprint,
        "stream": "support-bot/answer",
        "kind": "silent_update",
        "driver": "output",
        "severity": "warning",
        "owner": "team-support",
        "route": "default",
    }
    assert firing.annotations["evidence"] == "6.21"


def test_changes_are_told_in_their_own_units() -> None:
    told = {c.name: (c.before_text, c.after_text, c.difference) for c in sample_alert().changes}
    assert told == {
        "output.length.chars": ("412", "1,180", "2.9x"),
        "output.tone.hedging": ("0.41", "1.93", "4.7x"),
        "output.format.bullets": ("12 %", "71 %", "+59 points"),
        "output.tone.sentiment": ("-0.05", "0.38", "+0.43"),
        "call.latency.total_s": ("1.84", "3.9", "2.1x"),
    }


def test_links_are_filled_and_encoded() -> None:
    templates = LinkTemplates(
        dashboard="http://g/d?var-stream={stream}&from={from_ms}&to={to_ms}", trace="http://t/{event_id}"
    )
    links = sample_alert(links=templates, stream="a b/ü&c", time=10_000.0).links
    assert links.dashboard == "http://g/d?var-stream=a%20b%2F%C3%BC%26c&from=6213000&to=13600000"
    assert links.trace == "http://t/evt-1211"


def test_a_link_that_lacks_a_value_is_left_out() -> None:
    templates = LinkTemplates(dashboard="http://g/?from={from_ms}", trace="http://t/{event_id}")
    links = sample_alert(links=templates, time=None).links
    assert links.dashboard is None
    assert links.trace is not None


@given(st.text())
def test_a_template_is_refused_or_can_be_filled(template: str) -> None:
    try:
        LinkTemplates(dashboard=template)
    except ValueError:
        return
    fill(template, dict.fromkeys(PLACEHOLDERS, "x"))


def test_the_title_says_what_how_much_and_since_when_and_leaves_the_stream_to_its_own_place() -> None:
    def title(text: str, **fields: object) -> str:
        finding = msgspec.structs.replace(sample_finding(stream="a/b"), title=text, **fields)
        return from_finding(finding, specs=SPECS).title

    assert title("a/b: length rose") == "Silent model update: length rose since 09:38 UTC"
    assert title("Silent model update since 09:38") == "Silent model update since 09:38"
    began = BeganAt(3, 3, 3, None)
    assert title("a/b: length rose", began_at=began) == "Silent model update: length rose"
    # Words in place of a feature's name.
    assert title("a/b: output.length.chars rose from 4 to 9").startswith(
        "Silent model update: characters of the output rose from 4 to 9 since"
    )
    assert title("a/b: output.unheard.of rose").startswith("Silent model update: output.unheard.of rose since")
    long = title("x" * 1_000)
    assert len(long) == 160
    assert long.endswith("… since 09:38 UTC")


def test_a_count_with_fractions_is_the_rate_of_events_that_have_any() -> None:
    spec = FeatureSpec("call.dependency.errors", Kind.COUNT, "external calls that failed", "calls")
    change = FeatureChange(spec.name, 0.0025, 0.167, 16.5)
    finding = msgspec.structs.replace(sample_finding(), features=[change])
    (told,) = from_finding(finding, specs={spec.name: spec}).changes
    assert (told.before_text, told.after_text, told.difference) == ("any in 0.25 %", "any in 17 %", "+16 points")
    whole = msgspec.structs.replace(finding, features=[FeatureChange(spec.name, 2.0, 5.0, 9.0)])
    (told,) = from_finding(whole, specs={spec.name: spec}).changes
    assert (told.before_text, told.after_text, told.difference) == ("2", "5", "2.5x")


def test_a_scale_without_a_unit_is_told_by_the_step_and_not_by_a_ratio() -> None:
    spec = FeatureSpec("output.tone.sentiment", Kind.NUMBER, "sentiment from -1 to 1")
    finding = msgspec.structs.replace(sample_finding(), features=[FeatureChange(spec.name, 0.023, 0.875, 13.0)])
    (told,) = from_finding(finding, specs={spec.name: spec}).changes
    assert told.difference == "+0.852"


@pytest.mark.parametrize(
    ("meaning", "unit", "beside"),
    [
        ("length of the output", "words", "words"),
        ("words of the output", "words", ""),
        ("time until the answer is there", "s", "s"),
        ("sentiment", "", ""),
    ],
)
def test_a_unit_is_told_where_nothing_says_it_already(meaning: str, unit: str, beside: str) -> None:
    spec = FeatureSpec("f", Kind.NUMBER, meaning, unit)
    finding = msgspec.structs.replace(sample_finding(), features=[FeatureChange("f", 38.0, 133.0, 13.0)])
    (told,) = from_finding(finding, specs={"f": spec}).changes
    assert unit_beside(told) == beside


def test_the_steps_are_those_of_the_runbook() -> None:
    finding = msgspec.structs.replace(sample_finding(), runbook="format")
    assert from_finding(finding).next_steps == next_steps(FindingKind.FORMAT, finding.stream)
    unknown = msgspec.structs.replace(sample_finding(), runbook="ours.md")
    assert from_finding(unknown).next_steps == next_steps(FindingKind.SILENT_UPDATE, finding.stream)


def test_a_resolution_says_how_it_ended_and_how_long_it_lasted() -> None:
    alert = sample_alert(State.RESOLVED)
    assert alert.resolution is not None
    assert alert.resolution.how is Ended.RECOVERED
    said = "recovered: output.format.bullets is back at 12.4% (12.0% before, 71.0% while it lasted) for 412 events"
    assert resolved_because(alert) == alert.annotations["resolved"] == said
    assert resolved_in_full(alert) == f"{said}; it lasted 49 min, 524 events"
    assert decode(encode(alert)) == alert


def test_an_alert_of_an_earlier_version_says_why_it_ended_as_its_cause_does() -> None:
    alert = msgspec.structs.replace(sample_alert(State.RESOLVED), annotations={}, resolution=None)
    old = msgspec.structs.replace(alert, cause="It grew. Resolved: accepted as the new normal.")
    assert resolved_in_full(old) == "accepted as the new normal"
    assert cause_alone(old) == "It grew."
    assert resolved_in_full(alert) == "over; the reason is not recorded"
