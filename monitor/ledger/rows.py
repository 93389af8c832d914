"""Rows of the table `action` as records, and proposals as rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Row

from monitor.actions.names import checked_name
from monitor.actions.states import UNDO_PREFIX, Action, Claim, InvalidAction, OnUnknown, Proposal, State, Vote

MAX_SHORT_CHARS = 64  # of a scope and a kind: with key or target an entry of an index stays below PostgreSQL's 2.7 kB
MAX_TEXT_CHARS = 512  # of a stream, an event's id: as above
MAX_JSON_BYTES = 256 * 1024  # of fields and payload: an approver sees them, and rows are read many at a time
MAX_RESULT_BYTES = 1024 * 1024  # as the body of a request may have

_JSON = ("fields", "payload", "reasons", "causes")
_PLAIN = tuple(name for name in Action.__struct_fields__ if name not in (*_JSON, "state", "on_unknown", "votes"))
_encoder = msgspec.json.Encoder(order="sorted")


def action_of(row: Row[Any], votes: tuple[Vote, ...] = ()) -> Action:
    """The record of a row with all columns."""
    found = row._mapping
    plain = {name: found[name] for name in _PLAIN}
    plain["downstream_key"] = bool(plain["downstream_key"])
    return Action(
        **plain,
        state=State(found["state"]),
        on_unknown=OnUnknown(found["on_unknown"]),
        fields=msgspec.json.decode(found["fields"]),
        payload=msgspec.json.decode(found["payload"]),
        reasons=tuple(msgspec.json.decode(found["reasons"])),
        causes=tuple(msgspec.json.decode(found["causes"])),
        votes=votes,
    )


def row_of(proposal: Proposal, now: float, seq: int) -> dict[str, Any]:
    """The row of a new action. Raises `InvalidAction`."""
    _check(proposal, now)
    wait = None if proposal.expires_at is None else proposal.expires_at - now
    before = None if proposal.expires_at is None or proposal.warn_at is None else proposal.expires_at - proposal.warn_at
    given = {
        name: getattr(proposal, name)
        for name in Proposal.__struct_fields__
        if name not in (*_JSON, "scope", "key", "kind", "on_unknown", "downstream_key")
    }
    held = proposal.approvals_needed > 0
    return {
        **given,
        "scope": checked_scope(proposal.scope),
        "key": checked_key(proposal.key),
        "kind": checked_name(proposal.kind, "kind", MAX_SHORT_CHARS),
        "number": seq,
        "seq": seq,
        "state": State.HELD if held else State.ALLOWED,
        "was": "",
        "fence": 0,
        "lease_until": None,
        "claimed_by": "",
        "attempt": "",
        "fields": _json(proposal.fields, "fields"),
        "payload": _json(proposal.payload, "payload"),
        "reasons": _json(proposal.reasons, "reasons"),
        "causes": _json(proposal.causes, "causes"),
        "approvals": 0,
        "round": 0,
        "warned": 0,
        "wait_s": wait,
        "warn_before_s": before,
        "on_unknown": proposal.on_unknown,
        "downstream_key": int(proposal.downstream_key),
        "undoes": None,
        "result": None,
        "why": "",
        "proposed_at": now,
        "changed_at": now,
    }


def undo_row(original: Action, by: str, now: float, seq: int) -> dict[str, Any]:
    """The row of the action that undoes another, with the kind, fingerprint and lease policy of the original."""
    proposal = Proposal(
        scope=original.scope,
        key=original.key,
        kind=original.kind,
        fingerprint=original.fingerprint,
        requester=by,
        stream=original.stream,
        event=original.event,
        target=original.target,
        fields=original.fields,
        payload={"undo": original.undo},
        policy_version=original.policy_version,
        decision="undo",
        on_unknown=original.on_unknown,
        downstream_key=original.downstream_key,
        causes=(original.key,),
        keep_s=original.keep_s,
    )
    return {**row_of(proposal, now, seq), "key": UNDO_PREFIX + original.key, "undoes": original.key}


def checked_scope(scope: str) -> str:
    """A scope as rows have it. Raises `InvalidAction`."""
    return checked_name(scope, "scope", MAX_SHORT_CHARS)


def checked_key(key: str) -> str:
    """The key of a new action. Raises `InvalidAction`: also for those that `undo` makes."""
    if key.startswith(UNDO_PREFIX):
        raise InvalidAction(f"key: must not begin with {UNDO_PREFIX}, which names the undo of another action")
    return checked_name(key, "key")


def found_key(key: str) -> str:
    """A key to look for. Raises `InvalidAction`."""
    if key.startswith(UNDO_PREFIX):
        return UNDO_PREFIX + checked_name(key.removeprefix(UNDO_PREFIX), "key")
    return checked_name(key, "key")


def checked_claim(claim: Claim) -> Claim:
    """A claim with names as rows have them. Raises `InvalidAction`."""
    lease_end(0.0, claim.lease_s)
    scope, key = checked_scope(claim.scope), found_key(claim.key)
    if (proposal := claim.proposal) is not None:
        if proposal.approvals_needed:
            raise InvalidAction("this action needs approvals: propose it, and claim it once it is allowed")
        if (proposal.scope, proposal.key, proposal.kind, proposal.fingerprint) != (
            claim.scope,
            claim.key,
            claim.kind,
            claim.fingerprint,
        ):
            raise InvalidAction("claim and proposal name different actions")
    _check_texts({"claimant": claim.claimant, "attempt": claim.attempt})
    return msgspec.structs.replace(claim, scope=scope, key=key)


def lease_end(now: float, lease_s: float) -> float:
    """When a lease from now ends. Raises `InvalidAction`."""
    if not (math.isfinite(lease_s) and lease_s > 0):
        raise InvalidAction("lease: must be a number of seconds above 0")
    return now + lease_s


def checked_fence(fence: int) -> int:
    """A fence that a row can have. Raises `InvalidAction`."""
    if not 0 <= fence < 2**63:
        raise InvalidAction("fence: must be a number that a claim was answered with")
    return fence


def checked_result(result: bytes) -> bytes:
    """What `done` may keep. Raises `InvalidAction`."""
    if len(result) > MAX_RESULT_BYTES:
        raise InvalidAction(f"result: must have at most {MAX_RESULT_BYTES:,} bytes, has {len(result):,}")
    return bytes(result)


def checked_text(text: str, what: str) -> str:
    """Free text that a person or program gives as a reason. Raises `InvalidAction` for what no database can hold."""
    if len(text) > MAX_REASON_CHARS:
        raise InvalidAction(f"{what}: must have at most {MAX_REASON_CHARS:,} characters, has {len(text):,}")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidAction(f"{what}: must be text that UTF-8 can hold, without U+0000")
    return text


MAX_REASON_CHARS = 4000  # a page of text: what a person writes to explain a decision


def _check(proposal: Proposal, now: float) -> None:
    if proposal.approvals_needed < 0:
        raise InvalidAction("approvals_needed: must be 0 or more")
    for name in ("expires_at", "warn_at", "keep_s", "confidence"):
        value = getattr(proposal, name)
        if value is not None and not math.isfinite(value):
            raise InvalidAction(f"{name}: must be a finite number")
    if proposal.expires_at is not None and proposal.expires_at <= now:
        raise InvalidAction("expires_at: must be later than now")
    _check_texts(
        {
            "fingerprint": proposal.fingerprint,
            "requester": proposal.requester,
            "stream": proposal.stream,
            "event": proposal.event,
            "target": proposal.target,
            "text_hash": proposal.text_hash,
            "policy_version": proposal.policy_version,
            "decision": proposal.decision,
            "on_timeout": proposal.on_timeout,
        }
    )
    if not proposal.fingerprint or not proposal.requester:
        raise InvalidAction("fingerprint, requester: must not be empty")
    if proposal.undo is not None:
        checked_text(proposal.undo, "undo")


def _check_texts(texts: Mapping[str, str]) -> None:
    for name, text in texts.items():
        if len(checked_text(text, name)) > MAX_TEXT_CHARS:
            raise InvalidAction(f"{name}: must have at most {MAX_TEXT_CHARS} characters, has {len(text):,}")


def _json(value: Any, what: str) -> str:
    try:
        encoded = _encoder.encode(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidAction(f"{what}: must be JSON: {error}") from None
    if len(encoded) > MAX_JSON_BYTES:
        raise InvalidAction(f"{what}: must have at most {MAX_JSON_BYTES:,} bytes as JSON, has {len(encoded):,}")
    return encoded.decode()
