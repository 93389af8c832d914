from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.alerting.alert import Alert, decode, encode
from monitor.alerting.from_finding import from_finding
from monitor.alerting.rendering.links import LinkTemplates
from monitor.alerting.rendering.markdown import markdown
from monitor.alerting.rendering.plain_text import COLUMNS, block, short
from monitor.alerting.rendering.samples import SPECS, sample_alert, sample_finding
from monitor.alerting.rendering.terminal_text import clip, pad, plain, width, wrap
from monitor.detection.records.finding import BeganAt, Examples, Excerpt, FeatureChange, RaisedAt, State

SHOWN = Path(__file__).parent / "shown"
LINKS = LinkTemplates(dashboard="http://grafana:3000/d/oqm-stream?var-stream={stream}&from={from_ms}&to={to_ms}")
HOSTILE = "\x1b[2J\x1b[31mfake\r\n====\nFIRING critical\u202e x\u200b\x00\x9b1m `code` <script> [a](http://evil) |x|"


@pytest.mark.parametrize("state", [State.FIRING, State.RESOLVED])
def test_the_block_reads_as_it_was_written_down(state: State) -> None:
    # Rewritten by hand after looking at it: a change of wording shall be seen.
    assert block(sample_alert(state, links=LINKS)) + "\n" == (SHOWN / f"{state.value}.txt").read_text()


def test_the_markdown_reads_as_it_was_written_down() -> None:
    assert markdown(sample_alert(links=LINKS)) == (SHOWN / "firing.md").read_text()


def test_one_line_says_state_stream_what_and_which() -> None:
    alert = sample_alert()
    assert short(alert) == (f"FIRING warning | support-bot/answer | {alert.title} | {alert.fingerprint}")
    assert len(short(alert, 100)) <= 100


@pytest.mark.parametrize("state", [State.FIRING, State.RESOLVED, State.INFO])
def test_no_line_is_wider_than_the_block_but_one_with_a_link(state: State) -> None:
    for line in block(sample_alert(state, links=LINKS)).splitlines():
        assert len(line) <= COLUMNS or "://" in line
        assert line == line.rstrip()


def hostile_alert(text: str) -> Alert:
    finding = msgspec.structs.replace(
        sample_finding(stream=text or "x"),
        title=text,
        cause=text,
        segment={text: text},
        features=[FeatureChange(text or "f", text, text, 1.0), FeatureChange("nan", float("nan"), 1.0, float("inf"))],
        examples=Examples([text], [text]),
        excerpts_before=[Excerpt(text, text, text)],
        excerpts_after=[Excerpt(text, text, text)],
    )
    return from_finding(finding, owner=text, route=text or "r")


def test_text_of_models_cannot_steer_a_terminal_or_fake_a_line() -> None:
    alert = hostile_alert(HOSTILE)
    for rendered in (block(alert), short(alert), markdown(alert)):
        assert not any(c in rendered for c in "\x1b\x00\r\x9b\u202e\u200b")
    assert "\n" not in short(alert)
    assert sum(line.startswith("FIRING") for line in block(alert).splitlines()) == 1
    assert "<script>" not in markdown(alert)
    assert re.search(r"(?<!\\)\]\(http://evil", markdown(alert)) is None


@given(st.text(max_size=300))
def test_any_text_renders_within_the_columns(text: str) -> None:
    alert = hostile_alert(text)
    for line in block(alert).splitlines():
        assert width(line) <= COLUMNS or "://" in line
    assert "\n" not in short(alert)
    markdown(alert)
    assert decode(encode(alert)).changes == alert.changes


@pytest.mark.parametrize("time", [None, float("nan"), float("inf"), 1e18, -1e18])
def test_times_that_are_missing_or_absurd_render(time: float | None) -> None:
    finding = msgspec.structs.replace(
        sample_finding(), began_at=BeganAt(3, 3, 3, time), raised_at=RaisedAt(None, 3, time)
    )
    assert "event 3" in block(from_finding(finding))


def test_an_alert_without_features_segment_or_excerpts_has_no_empty_parts() -> None:
    finding = msgspec.structs.replace(
        sample_finding(time=None),
        features=[], segment=None, excerpts_before=[], excerpts_after=[], examples=Examples([], []), driver=None,
    )  # fmt: skip
    text = block(from_finding(finding, specs=SPECS))
    assert "What changed" not in text
    assert "Where" not in text
    assert "Before the change" not in text
    assert "\n\n\n" not in text


def test_an_example_without_its_text_does_not_look_like_an_empty_output() -> None:
    finding = msgspec.structs.replace(sample_finding(), excerpts_before=[Excerpt("e1", "", ""), Excerpt("e2", "q", "")])
    text = block(from_finding(finding))
    assert "  e1  (no excerpt kept)\n  e2\n    in   q\n    out  (empty)" in text


def test_example_ids_stand_where_excerpts_are_off() -> None:
    finding = msgspec.structs.replace(sample_finding(), excerpts_before=[], excerpts_after=[])
    assert "  events evt-1190, evt-1195, evt-1201" in block(from_finding(finding))


@given(st.text(), st.integers(1, 40))
def test_clip_and_pad_keep_to_the_columns(text: str, columns: int) -> None:
    text = plain(text)
    assert width(clip(text, columns)) <= columns
    assert width(pad(text, columns)) >= columns


@given(st.text(), st.integers(2, 40))
def test_wrapping_loses_nothing_but_white_space(text: str, columns: int) -> None:
    text = plain(text)
    lines = wrap(text, columns)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(width(line) <= columns for line in lines)
