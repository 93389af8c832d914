"""Proposals and claims of the tests."""

from __future__ import annotations

import msgspec

from monitor.actions.states import Claim, OnUnknown, Proposal

NOW = 1_800_000_000.0
LEASE_S = 60.0


def proposal(key: str = "order-1", **fields: object) -> Proposal:
    given = {
        "scope": "shop",
        "key": key,
        "kind": "email",
        "fingerprint": "f1",
        "requester": "agent",
        "text_hash": "t1",
        "policy_version": "p1",
    }
    return msgspec.convert({**given, **fields}, Proposal)


def held(key: str = "order-1", **fields: object) -> Proposal:
    return proposal(key, **{"approvals_needed": 1, "expires_at": NOW + 3600, "warn_at": NOW + 3000, **fields})


def claim_of(one: Proposal, claimant: str = "worker", **fields: object) -> Claim:
    names = ("scope", "key", "kind", "fingerprint", "text_hash", "policy_version")
    given = {name: getattr(one, name) for name in names}
    return Claim(**{**given, "claimant": claimant, "lease_s": LEASE_S, **fields})  # type: ignore[arg-type]


def implicit(key: str = "order-1", **fields: object) -> Proposal:
    """A proposal of a kind that passes without a decision: its text may change."""
    return proposal(key, **{"text_hash": "", "on_unknown": OnUnknown.ASK, **fields})
