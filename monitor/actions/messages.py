"""What the gate's client and server say to each other over HTTP, as records. Pure; msgspec only."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from monitor.actions.policy import Answer, Reason

Fence = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
"""The number of a claim: up to what every JSON reader keeps exact, and every database holds."""


class Turn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn of a conversation: who spoke (user, assistant, tool, ...), and what was said."""

    role: str
    text: str


class Journaled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client answered by itself, and when (seconds since 1970), while the server did not answer."""

    at: float
    answer: Answer
    reasons: list[Reason] = []


class GateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """May this be done?

    Attributes
    ----------
    kind
        A kind of action, or a name of `gate.attempts`, of the settings.
    key
        Business object and occasion; empty only where the kind does not require one.
    stream, event
        The stream whose output it is, and the output's id.
    output, input
        The text that is checked, and what it answers.
    target
        Who or what it reaches: a recipient, an account, a record.
    fields
        What must be the same whenever this key is proposed; JSON values.
    attributes
        As in output events: alerts about another segment do not hold it.
    undo
        How it can be undone.
    confidence
        The application's own, 0 to 1.
    causes
        Ids of events or keys of actions that led to it.
    failed
        With a name of `gate.attempts`: attempts that failed so far.
    conversation
        What was said until then, for the person who takes over or decides.
    journaled
        Set by a client that decided by itself and reports it afterwards.
    """

    kind: str
    key: str = ""
    stream: str = ""
    event: str = ""
    output: str | None = None
    input: str | None = None
    target: str = ""
    fields: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    undo: str | None = None
    confidence: float | None = None
    causes: list[str] = []
    failed: int | None = None
    conversation: list[Turn] = []
    journaled: Journaled | None = None


class GateAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the application is to do, and the action as the ledger has it.

    `state` is empty where nothing was recorded (an attempt that may be repeated). `fingerprint`, `text_hash` and
    `policy_version` are what a claim must repeat.
    """

    answer: Answer
    key: str
    reasons: list[Reason] = []
    state: str = ""
    fingerprint: str = ""
    text_hash: str = ""
    policy_version: str = ""
    approvals_needed: int = 0
    approvals: int = 0
    expires_at: float | None = None


class ClaimRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """I am about to do it: `monitor.actions.states.Claim` without what the token says."""

    kind: str
    fingerprint: str
    text_hash: str = ""
    policy_version: str = ""
    attempt: str = ""
    lease_s: float = 60.0


class ClaimGranted(msgspec.Struct, frozen=True, kw_only=True):
    """The claim is the caller's until `lease_until`; outcomes are reported with `fence`."""

    key: str
    fence: int
    lease_until: float


class DoneRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It is done. `result` is JSON, and what later claims of the key get, byte for byte."""

    fence: Fence
    result: msgspec.Raw


class FailRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Nothing happened, for certain, and why."""

    fence: Fence
    why: str = ""


class ExtendRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """It takes longer: a lease of `lease_s` seconds from now."""

    fence: Fence
    lease_s: float


class ResolveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How an action ended whose outcome was unknown: `done` or `failed`, and how that is known."""

    outcome: str
    why: str = ""
    result: Any = None
