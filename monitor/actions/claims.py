"""Why a claim was not granted, from the action as it is: the part of the state machine that needs no database. Pure.

The claim itself is one statement of `monitor.ledger.claims`; its condition is `may_claim`, in SQL.
"""

from __future__ import annotations

from monitor.actions.states import Action, Claim, OnUnknown, Outcome, State


def differs(action: Action, claim: Claim) -> str:
    """By what a claim differs from what was decided on: `kind`, `fields`, `text`, `policy`; empty where by nothing."""
    if claim.kind != action.kind:
        return "kind"
    if claim.fingerprint != action.fingerprint:
        return "fields"
    if action.text_hash and claim.text_hash != action.text_hash:
        return "text"
    if action.approvals_needed and claim.policy_version != action.policy_version:
        return "policy"
    return ""


def lease_is_over(action: Action, now: float) -> bool:
    """Whether a claim has ended without an outcome."""
    return action.state is State.UNKNOWN or (
        action.state is State.CLAIMED and action.lease_until is not None and action.lease_until <= now
    )


def has_expired(action: Action, now: float) -> bool:
    """Whether its time to be decided on, and then claimed, is over, noticed or not."""
    if action.state is State.EXPIRED:
        return True
    waits = action.state in (State.HELD, State.ALLOWED, State.FAILED)
    return waits and action.expires_at is not None and action.expires_at <= now


def may_claim(action: Action, claim: Claim, now: float) -> bool:
    """Whether a claim is granted now."""
    if differs(action, claim):
        return False
    if lease_is_over(action, now):
        return action.on_unknown is OnUnknown.RETRY
    if has_expired(action, now):
        return False
    return action.state is State.ALLOWED or (action.state is State.FAILED and not action.approvals_needed)


def must_ask_again(action: Action, claim: Claim, now: float) -> bool:
    """Whether people must allow it again: it failed, and the claim before has used the approval."""
    return (
        action.state is State.FAILED
        and action.approvals_needed > 0
        and not has_expired(action, now)
        and not differs(action, claim)
    )


def refusal(action: Action, claim: Claim, now: float) -> tuple[Outcome, str]:
    """The outcome of a claim that was not granted, and by what it differs where it is a mismatch."""
    other = differs(action, claim)
    if other in ("kind", "fields"):
        return Outcome.MISMATCH, other
    final = {State.DONE: Outcome.REPLAY, State.UNDONE: Outcome.UNDONE, State.REJECTED: Outcome.REJECTED}
    if action.state in final:
        return final[action.state], ""
    if has_expired(action, now):
        return Outcome.EXPIRED, ""
    if lease_is_over(action, now):
        return (Outcome.MISMATCH, other) if other and action.on_unknown is OnUnknown.RETRY else (Outcome.UNKNOWN, "")
    if action.state is State.CLAIMED:
        return Outcome.IN_FLIGHT, ""
    return (Outcome.MISMATCH, other) if other else (Outcome.HELD, "")


def is_same_attempt(action: Action, attempt_of_action: str, claim: Claim, now: float) -> bool:
    """Whether this claim was granted before, and its answer was lost on the way."""
    return (
        bool(claim.attempt)
        and attempt_of_action == claim.attempt
        and action.claimed_by == claim.claimant
        and action.state is State.CLAIMED
        and not lease_is_over(action, now)
        and differs(action, claim) not in ("kind", "fields")
    )
