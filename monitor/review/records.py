"""What a reviewer is shown and sends: the bodies of `/v1/reviews`, and the lines of `oqm review --json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from monitor.actions.messages import Fence
from monitor.actions.review import (
    LEASE_S,
    LONGEST_LEASE_S,
    MAX_NOTE_CHARS,
    SHORTEST_LEASE_S,
    Also,
    Kind,
    Opinion,
    State,
)

Lease = Annotated[float, Meta(ge=SHORTEST_LEASE_S, le=LONGEST_LEASE_S, description="seconds")]
Name = Annotated[str, Meta(min_length=1, max_length=512)]


class Ask(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which item is asked for: every field narrows. `stream` is a name, or a beginning followed by *."""

    kind: Kind | None = None
    stream: str | None = None
    criterion: str | None = None
    lease_s: Lease = LEASE_S


class Decide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A decision on an item, with the fence of its lease."""

    fence: Fence
    opinion: Opinion
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""
    also: tuple[Also, ...] = ()


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An item is given back; with `skip` this person does not get it again."""

    fence: Fence
    skip: bool = True


class Extend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A lease of `lease_s` from now on."""

    fence: Fence
    lease_s: Lease = LEASE_S


class Flag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output that people shall look at. `anchor`: to be labelled for the anchors of its criterion."""

    event: Name
    stream: str | None = None
    criterion: str | None = None
    reason: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] = ""
    anchor: bool = False


class HeldAction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The action that an item of kind `held` is about, exactly as it will be carried out."""

    scope: str
    key: str
    kind: str
    target: str = ""
    fields: Mapping[str, Any] = {}
    payload: Mapping[str, Any] = {}
    reasons: tuple[str, ...] = ()
    requester: str = ""
    confidence: float | None = None
    approvals: int = 0
    approvals_needed: int = 0
    expires_at: float | None = None
    on_timeout: str = ""
    undo: str | None = None


class ReviewedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item as its reviewer sees it.

    Attributes
    ----------
    id, fence, leased_until
        To decide it: a decision names the fence, and should come before the lease is over (seconds since 1970).
    kind, stream, event, time, criterion
        Why it is looked at, the output, and the criterion; empty: is it good?
    question
        What an output does that passes, in the words of the settings.
    input, output, prompt
        Texts in the form that privacy allows; None where they were not sent, or are not kept.
    version, fields
        Model and prompt with their versions; the event's other fields, such as steps and calls.
    reason
        Why it was flagged or held.
    verdict, rationale, evaluator
        What an evaluator said; None where it is blind: before the decision of sampled outputs and second opinions.
    action
        Of a held action.
    texts_missing
        Whether the trace store has no such output, or not any more.
    """

    id: str
    fence: int
    leased_until: float
    kind: Kind
    stream: str
    event: str
    time: float
    criterion: str = ""
    question: str = ""
    input: str | None = None
    output: str | None = None
    prompt: str | None = None
    version: str | None = None
    fields: Mapping[str, Any] = {}
    reason: str = ""
    verdict: bool | None = None
    rationale: str | None = None
    evaluator: str = ""
    action: HeldAction | None = None
    texts_missing: bool = False


class Decided(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A decision, with what the evaluator had said of the output."""

    id: str
    kind: Kind
    opinion: Opinion
    by: str
    at: float
    note: str = ""
    also: tuple[Also, ...] = ()
    verdict: bool | None = None
    evaluator: str = ""
    rationale: str | None = None


class ListedItem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of the queue: nothing that would spoil a blind decision."""

    id: str
    kind: Kind
    state: State
    stream: str
    event: str
    time: float
    created: float
    criterion: str = ""
    reason: str = ""
    scope: str = ""
    key: str = ""
    leased_by: str = ""
    leased_until: float | None = None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """The most urgent items, and how many wait in all by kind."""

    items: tuple[ListedItem, ...]
    waiting: Mapping[str, int]


class Flagged(msgspec.Struct, frozen=True, kw_only=True):
    """The item of an output that was flagged; `new`: whether it was not in the queue before."""

    id: str
    new: bool
