from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.events import Model, OutputEvent, Prompt, content_digest, decode_event, segments

EVENT = OutputEvent(stream="bot", output="hi", attributes={"a": 1, "b": {"x": 1, "y": 2}}, model=Model(name="m"))


def test_the_digest_is_that_of_the_content_alone() -> None:
    digest = content_digest(EVENT)
    assert digest == content_digest(msgspec.structs.replace(EVENT, id="other", time=5.0))
    assert digest == content_digest(decode_event(msgspec.json.encode(EVENT), default_id="d", timestamp=3.0).event)


def test_the_digest_is_the_same_everywhere() -> None:
    # Frozen: checkpoints of running deployments hold digests.
    assert content_digest(OutputEvent(stream="bot", output="hi")) == 13739514943332360929


def test_the_order_of_keys_does_not_matter() -> None:
    turned = msgspec.structs.replace(EVENT, attributes={"b": {"y": 2, "x": 1}, "a": 1})
    assert content_digest(turned) == content_digest(EVENT)


@pytest.mark.parametrize(
    "change",
    [
        {"output": "ho"},
        {"output": None, "error": "hi"},
        {"input": "hi"},
        {"stream": "bo"},
        {"attributes": {"a": 2}},
        {"model": Model(version="m")},
        {"extra": {"a": 1}},
    ],
)
def test_any_other_content_is_another_digest(change: dict[str, Any]) -> None:
    assert content_digest(msgspec.structs.replace(EVENT, **change)) != content_digest(EVENT)


@given(st.text(), st.dictionaries(st.text(), st.none() | st.integers() | st.floats() | st.text() | st.binary()))
def test_any_event_has_a_digest(output: str, attributes: dict[str, Any]) -> None:
    event = OutputEvent(stream="bot", output=output, attributes=attributes)
    assert 0 <= content_digest(event) < 2**64
    assert content_digest(event) == content_digest(msgspec.structs.replace(event, attributes=dict(attributes)))


def test_segments() -> None:
    event = OutputEvent(
        stream="bot",
        output="",
        model=Model(provider="p", name="n", version="v", fingerprint="f"),
        prompt=Prompt(name="answer", version="3", hash="h", text="not a segment"),
        attributes={"z": "last", "n": 3, "beta": True, "t": 0.5, "whole": 2.0, "list": [1], "none": None, "empty": ""},
    )
    assert list(segments(event).items()) == [
        ("model.provider", "p"),
        ("model.name", "n"),
        ("model.version", "v"),
        ("model.fingerprint", "f"),
        ("prompt.name", "answer"),
        ("prompt.version", "3"),
        ("prompt.hash", "h"),
        ("attributes.beta", "true"),
        ("attributes.n", "3"),
        ("attributes.t", "0.5"),
        ("attributes.whole", "2"),
        ("attributes.z", "last"),
    ]


def test_segments_are_bounded() -> None:
    event = OutputEvent(stream="bot", output="", attributes={f"{n:03}" * 50: "v" * 500 for n in range(100)})
    found = segments(event)
    assert len(found) == 16
    assert all(len(key) <= 75 and len(value) <= 64 for key, value in found.items())
    assert list(found) == sorted(found)


def test_no_segments() -> None:
    assert segments(OutputEvent(stream="bot", output="")) == {}
