"""What travels on `oqm.actions`: one JSON object for each change of an action. Readers skip unknown fields. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from monitor.actions.states import Action, AuditEntry, Change, OnUnknown, State
from monitor.errors import InvalidEvent

VERSION = 1


class ActionChanged(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change of an action, without what people and models wrote.

    A message may come twice, with the same `oqm-id` in its header. Messages of one action have one key, so they are in
    order; `seq` tells which is later.
    """

    seq: Annotated[int, Meta(description="Number of the entry in the audit log; 0 for `replayed`, which has none.")]
    at: Annotated[float, Meta(description="When, in seconds since 1970.")]
    what: Annotated[Change, Meta(description="What happened.")]
    actor: Annotated[str, Meta(description="Who did it: a person, or the name of a token; `clock` where time did.")]
    scope: Annotated[str, Meta(description="Tenant or application.")]
    key: Annotated[str, Meta(description="Business object and occasion; unique in its scope.")]
    kind: Annotated[str, Meta(description="Kind of action in the settings.")]
    state: Annotated[State, Meta(description="Where the action stands after it.")]
    fence: Annotated[int, Meta(description="Number of the latest claim; 0 before the first.")]
    fingerprint: Annotated[str, Meta(description="Hash of the declared fields.")]
    number: Annotated[int, Meta(description="Number of the entry in the audit log that made the action.")] = 0
    stream: Annotated[str, Meta(description="The stream whose output wants it; empty where it is not known.")] = ""
    event: Annotated[str, Meta(description="Id of that output's event.")] = ""
    causes: Annotated[tuple[str, ...], Meta(description="Ids of events or keys of actions that led to it.")] = ()
    text_hash: Annotated[str, Meta(description="Hash of the output's text.")] = ""
    policy_version: Annotated[str, Meta(description="The policy under which it was decided.")] = ""
    decision: Annotated[str, Meta(description="The gate's answer.")] = ""
    reasons: Annotated[tuple[str, ...], Meta(description="Why the gate answered so.")] = ()
    approvals: Annotated[int, Meta(description="Votes that count.")] = 0
    approvals_needed: Annotated[int, Meta(description="Votes that it needs; 0: none.")] = 0
    lease_until: Annotated[float | None, Meta(description="End of the latest claim's lease.")] = None
    expires_at: Annotated[float | None, Meta(description="When it expires if nobody decides or claims.")] = None
    on_unknown: Annotated[OnUnknown, Meta(description="After a lease without an outcome: retry, or ask.")] = (
        OnUnknown.ASK
    )
    on_timeout: Annotated[str, Meta(description="The named answer when nobody decides in time.")] = ""
    confidence: Annotated[float | None, Meta(description="The application's, in [0, 1].")] = None
    can_undo: Annotated[bool, Meta(description="Whether an undo is registered.")] = False
    undoes: Annotated[str | None, Meta(description="Key of the action that this one undoes.")] = None
    hash: Annotated[str, Meta(description="Of the entry in the audit log: keep it to notice a log that was cut.")] = ""
    v: Annotated[int, Meta(description="Version of this record.")] = VERSION


_encoder = msgspec.json.Encoder()


def changed(action: Action, what: Change, actor: str, at: float, entry: AuditEntry | None = None) -> bytes:
    """The message for a change; without an entry for what the audit log does not have."""
    return _encoder.encode(
        ActionChanged(
            seq=entry.seq if entry else 0,
            hash=entry.hash if entry else "",
            at=at,
            what=what,
            actor=actor,
            can_undo=action.undo is not None,
            **{name: getattr(action, name) for name in _OF_ACTION},
        )
    )


def message_key(scope: str, key: str) -> str:
    """The key of an action's messages in Kafka."""
    return f"{scope}/{key}"


def decode_action(message: bytes) -> ActionChanged:
    """A message of `oqm.actions`. Raises `InvalidEvent` for bytes that are none."""
    try:
        return msgspec.json.decode(message, type=ActionChanged)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEvent("unreadable", f"not a message of oqm.actions: {error}") from error


_OF_ACTION = tuple(
    name for name in ActionChanged.__struct_fields__ if name in Action.__struct_fields__ and name not in ("seq",)
)
