from __future__ import annotations

from collections import Counter

import jsonschema
import msgspec
import pytest

from monitor.errors import InvalidEvent
from monitor.events import OutputEvent, Reason, content_digest, decode_event, json_schema, segments
from monitor.events.json_object import parse_json
from monitor.events.redaction import excerpt
from tests.events.malformed import messages

N = 50_000


def test_50_000_malformed_messages_are_all_accounted_for() -> None:
    reasons: Counter[str] = Counter()
    details: set[str] = set()
    accepted = 0
    for position, (value, headers) in enumerate(messages(N, seed=20251009)):
        try:
            decoded = decode_event(value, headers, default_id=f"t/0/{position}", timestamp=1.76e9, max_bytes=200_000)
        except InvalidEvent as invalid:
            reasons[invalid.reason] += 1
            details.add(invalid.detail)
            continue
        accepted += 1
        event = decoded.event
        assert isinstance(event.id, str)
        assert event.id
        assert event.time is not None
        assert 1.76e9 - 86_400 <= event.time <= 1.76e9 + 300
        assert event.output is not None or event.error
        # Whatever was accepted can be hashed, shown and sent on.
        assert 0 <= content_digest(event) < 2**64
        excerpt(event.output)
        segments(event)
        msgspec.msgpack.encode(event)
        again = decode_event(msgspec.json.encode(event), default_id="other", timestamp=1.76e9).event
        assert content_digest(again) == content_digest(event)
    assert accepted + reasons.total() == N
    of_a_topic = set(Reason) - {Reason.BAD_ROW, Reason.UNREADABLE}
    assert set(reasons) == of_a_topic, "every reason occurs, or the generator misses a kind of message"
    assert accepted > 1_000
    assert all(10 < len(detail) < 400 for detail in details)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_accepted_validates_against_the_exported_schema(seed: int) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(OutputEvent))
    seen = 0
    for value, headers in messages(1_500, seed):
        try:
            decode_event(value, headers, default_id="d", timestamp=1.76e9)
        except InvalidEvent:
            continue
        assert value is not None
        fields, _ = parse_json(value)
        if "specversion" in fields or any("gen_ai." in name for name in (*fields, *(fields.get("attributes") or ()))):
            continue  # the schema describes the native form
        validator.validate(fields)
        seen += 1
    assert seen > 200
