"""The hash chain of the audit log."""

from __future__ import annotations

import hashlib
import json

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.actions.audit import FIRST_HASH, entry_hash, first_broken, next_entry
from monitor.actions.message import ActionChanged, changed, decode_action
from monitor.actions.states import Action, AuditEntry, Change, State
from monitor.errors import InvalidEvent
from monitor.events import json_schema

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def chain(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    end = (0, FIRST_HASH)
    for number in range(length):
        entry = next_entry(end, 1_800_000_000.5 + number, "ann", "done", f"action:shop/{number}", {"state": "done"})
        entries.append(entry)
        end = (entry.seq, entry.hash)
    return entries


@given(st.integers(1, 2**53), st.floats(0, 1e11), TEXT, TEXT, TEXT, TEXT)
def test_others_can_compute_the_hash(seq: int, at: float, actor: str, what: str, subject: str, body: str) -> None:
    array = [FIRST_HASH, seq, at, actor, what, subject, body]
    if 0 < at < 1e-4:
        return  # Python writes such a number in another way; no time is one
    written = json.dumps(array, ensure_ascii=False, separators=(",", ":")).encode()
    assert entry_hash(seq, at, actor, what, subject, body, FIRST_HASH) == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize("broken", range(1, 6))
@pytest.mark.parametrize("field", [name for name in AuditEntry.__struct_fields__ if name != "seq"])
def test_each_change_of_an_entry_is_found(broken: int, field: str) -> None:
    entries = chain(5)
    assert first_broken(entries) is None
    value = entries[broken - 1].at + 1 if field == "at" else getattr(entries[broken - 1], field) + "x"
    entries[broken - 1] = msgspec.structs.replace(entries[broken - 1], **{field: value})
    assert first_broken(entries) == broken


def test_what_is_missing_moved_or_inserted_is_found() -> None:
    entries = chain(5)
    assert first_broken(entries[:2] + entries[3:]) == 3
    assert first_broken([*entries[:1], entries[2], entries[1], *entries[3:]]) == 2
    assert first_broken(entries[2:], (2, entries[1].hash)) is None
    assert first_broken(entries[2:], (2, entries[0].hash)) == 3


def test_a_message_follows_its_schema() -> None:
    action = Action(
        scope="shop",
        key="order-1",
        kind="email",
        fingerprint="f",
        requester="agent",
        state=State.HELD,
        number=1,
        seq=1,
        proposed_at=0.0,
        changed_at=0.0,
        causes=("e1",),
        expires_at=5.0,
        undo="delete",
    )
    body = changed(action, Change.PROPOSED, "agent", 1.0, chain(1)[0])
    jsonschema.Draft202012Validator(json_schema(ActionChanged)).validate(json.loads(body))
    assert (decode_action(body).can_undo, decode_action(body).causes) == (True, ("e1",))
    assert decode_action(b'{"new": 1, ' + body[1:]) == decode_action(body)
    with pytest.raises(InvalidEvent, match=r"oqm\.actions"):
        decode_action(b"[]")
