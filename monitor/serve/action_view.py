"""Actions as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from monitor.actions.states import Action, State

_NULL = msgspec.Raw(b"null")


class VoteView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one person said of a held action; `counts` is false once another text or a claim came after it."""

    by: str
    approved: bool
    at: float
    why: str = ""
    counts: bool = True


class ActionView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An action as the ledger has it; times are seconds since 1970.

    `result` is the JSON that the claimant gave with `done`, byte for byte. Whoever approves sends `fingerprint`,
    `text_hash` and `policy_version` back: the approval holds for these only. `votes` is there for one action, not in
    lists.
    """

    app: str
    key: str
    kind: str
    state: State
    fingerprint: str
    requester: str
    number: int
    proposed_at: float
    changed_at: float
    fence: int = 0
    lease_until: float | None = None
    claimed_by: str = ""
    stream: str = ""
    event: str = ""
    target: str = ""
    fields: Mapping[str, Any] = {}
    payload: Mapping[str, Any] = {}
    text_hash: str = ""
    policy_version: str = ""
    decision: str = ""
    reasons: tuple[str, ...] = ()
    approvals_needed: int = 0
    approvals: int = 0
    expires_at: float | None = None
    warn_at: float | None = None
    on_timeout: str = ""
    on_unknown: str = ""
    downstream_key: bool = False
    undo: str | None = None
    undoes: str | None = None
    confidence: float | None = None
    causes: tuple[str, ...] = ()
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    why: str = ""
    votes: tuple[VoteView, ...] = ()


_SAME = frozenset(ActionView.__struct_fields__) - {"app", "result", "votes"}


def view(action: Action) -> ActionView:
    """The action as the API shows it."""
    return ActionView(
        app=action.scope,
        result=msgspec.UNSET if action.result is None else raw(action.result),
        votes=tuple(
            VoteView(by=vote.by, approved=vote.approved, at=vote.at, why=vote.why, counts=vote.counts)
            for vote in action.votes
        ),
        **{name: getattr(action, name) for name in _SAME},
    )


def raw(result: bytes) -> msgspec.Raw:
    """A result as a part of an answer, unchanged. What is no JSON (from another client of the ledger) is a string."""
    if not result:
        return _NULL
    try:
        msgspec.json.decode(result)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.Raw(msgspec.json.encode(result.decode("utf-8", "replace")))
    return msgspec.Raw(result)
