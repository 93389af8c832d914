"""What the ledger knows of actions: records, states, outcomes of a claim, errors. Pure; msgspec only.

    held -> allowed | rejected | expired            people decide, or nobody does in time
    allowed -> claimed | expired                    one claimant at a time, with a fence and a lease
    claimed -> done | failed | unknown              unknown: the lease is over and nobody said how it ended
    failed -> claimed | held                        held: it needs approvals, and the claim before has used them
    unknown -> claimed                              on_unknown = retry
    unknown -> done | failed                        the claimant after all, or a person (`resolve`)
    done -> undone                                  when the action `undo:<key>` is done

An action is named by (scope, key). All times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from monitor.errors import OqmError

UNDO_PREFIX = "undo:"
"""The key of an action that undoes another: this, and the other's key."""


class ActionError(OqmError):
    """A request about an action cannot be followed; the message says why."""


class InvalidAction(ActionError):
    """A name, time or number that no action can have; the message says what to change."""


class NoSuchAction(ActionError):
    """There is no action with this scope and key."""


class Mismatch(ActionError):
    """The key is taken by an action of another kind or with other declared fields. Nothing was changed; it is counted.

    `differs` names what: `kind`, `fields`, `text` or `policy`.
    """

    def __init__(self, message: str, differs: str = "fields") -> None:
        super().__init__(message)
        self.differs = differs


class StaleFence(ActionError):
    """`done`, `failed` or `extend` with a fence that is not, or no longer, the current one. Recorded in the audit log.

    Someone else has claimed the action, or its outcome is already decided. `current` is the action as it is now.
    """

    def __init__(self, message: str, current: Action) -> None:
        super().__init__(message)
        self.current = current


class NotAllowed(ActionError):
    """A decision that this person may not take, or not any more. Recorded in the audit log.

    `reason` is a stable code, of `Refusal`.
    """

    def __init__(self, message: str, reason: Refusal) -> None:
        super().__init__(message)
        self.reason = reason


class Refusal(StrEnum):
    """Why a decision was not taken."""

    OWN_ACTION = "own_action"  # the requester is the approver
    TWICE = "twice"  # the same person again
    OTHER_CONTENT = "other_content"  # fingerprint, text or policy are not those that wait for a decision
    EXPIRED = "expired"
    FINAL = "final"  # rejected, claimed, done: nothing waits for a decision
    NO_UNDO = "no_undo"  # the action has no undo registered
    WRONG_STATE = "wrong_state"  # resolve of what is not unknown, undo of what is not done


class State(StrEnum):
    """Where an action stands. Values are what tables, topics and HTTP carry."""

    HELD = "held"
    ALLOWED = "allowed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CLAIMED = "claimed"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    UNDONE = "undone"


FINAL = frozenset({State.REJECTED, State.EXPIRED, State.DONE, State.UNDONE})
"""States that no claim leaves."""


class OnUnknown(StrEnum):
    """What happens when a lease is over without an outcome."""

    RETRY = "retry"  # it may be claimed again: downstream takes the key, or a second time does no harm
    ASK = "ask"  # only a person, or the kind's own query, says how it ended


class Outcome(StrEnum):
    """The answer to a claim."""

    MINE = "mine"  # act now, then say done or failed with this fence
    REPLAY = "replay"  # it was done: here is its result
    HELD = "held"  # it waits for people
    IN_FLIGHT = "in_flight"  # another claim is live until `lease_until`
    UNKNOWN = "unknown"  # it may have happened; it waits for `resolve`
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNDONE = "undone"  # it was done, and undone since
    MISMATCH = "mismatch"  # the key belongs to other fields (or kind, text, policy: `differs`); nothing was changed


class Duplicate(StrEnum):
    """Requests that would have been a second effect, as they are counted by kind of action."""

    REPLAY = "replay"  # a claim of what is done
    IN_FLIGHT = "in_flight"  # a claim while another is live
    UNKNOWN = "unknown"  # a claim of what may have happened
    MISMATCH = "mismatch"
    STALE_FENCE = "stale_fence"


class Change(StrEnum):
    """What happened to an action: the audit log's `what`, and that of a message of `oqm.actions`."""

    PROPOSED = "proposed"
    SUPERSEDED = "superseded"  # proposed again with another text or policy; earlier votes no longer count
    APPROVED = "approved"  # one person's vote; the state says whether it was the last one needed
    REJECTED = "rejected"
    WARNED = "warned"  # nobody has decided, and it will expire
    EXPIRED = "expired"
    CLAIMED = "claimed"
    EXTENDED = "extended"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    RESOLVED = "resolved"
    REOPENED = "reopened"  # a claim after `failed`: the approval was used, so people decide again
    UNDONE = "undone"
    FORGOTTEN = "forgotten"  # its key is past every retry; the row is deleted
    # What changes no state:
    REFUSED = "refused"  # a decision that the person may not take
    STALE_FENCE = "stale_fence"
    REPLAYED = "replayed"
    MISMATCH = "mismatch"


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """An action as an application wants it, with what the gate decided.

    Attributes
    ----------
    scope
        Tenant or application: the `app` of its token.
    key
        Business object and occasion, at most 256 characters (`monitor.actions.names.checked_name`).
    kind
        Kind of action in the settings: draft, email, record, money.
    fingerprint
        Hash of the declared fields (`monitor.actions.intent`): the same key with another one is a mismatch.
    stream, event
        The output that wants it.
    target
        Recipient, account, record; empty where there is none.
    fields, payload
        The declared fields, and what approvers see. JSON values; in the form that privacy allows.
    text_hash
        Hash of the output's text: a decision holds for this text only.
    policy_version
        The policy under which it was decided.
    decision, reasons
        The gate's answer (pass, hold, fall_back) and why.
    approvals_needed
        How many people must allow it first: 0 is allowed at once, others are held.
    requester
        Whose token asked (`Token.identity`). May not approve.
    expires_at, warn_at
        When a held action expires, and when that is announced. An approval is then valid as long as the action could
        wait. None: never; people must then decide.
    on_timeout
        The named answer when nobody decides in time.
    on_unknown, downstream_key
        What happens when a lease is over without an outcome; whether the receiving system takes the key.
    undo
        How it can be undone, in words or as data for the application; None: it cannot.
    confidence
        The application's, in [0, 1].
    embedding
        Of the text, for `similar`: float16, little-endian. Empty: none.
    causes
        Ids of events or keys of actions that led to this one.
    keep_s
        How long the key outlives its outcome; None: for good.
    """

    scope: str
    key: str
    kind: str
    fingerprint: str
    requester: str
    stream: str = ""
    event: str = ""
    target: str = ""
    fields: Mapping[str, Any] = {}
    payload: Mapping[str, Any] = {}
    text_hash: str = ""
    policy_version: str = ""
    decision: str = "pass"
    reasons: tuple[str, ...] = ()
    approvals_needed: int = 0
    expires_at: float | None = None
    warn_at: float | None = None
    on_timeout: str = ""
    on_unknown: OnUnknown = OnUnknown.ASK
    downstream_key: bool = False
    undo: str | None = None
    confidence: float | None = None
    embedding: bytes = b""
    causes: tuple[str, ...] = ()
    keep_s: float | None = None


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said of a held action. `counts` is false once another text or policy, or a claim, came after."""

    by: str
    approved: bool
    at: float
    why: str = ""
    counts: bool = True


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """An action as the ledger has it.

    Attributes
    ----------
    (those of `Proposal`)
        As proposed; `expires_at` and `warn_at` move when it is approved or opened again.
    number, seq
        Of the audit log: the entry that made it, and the entry of its latest change.
    state, fence
        Where it stands; number of the latest claim, 0 before the first.
    lease_until, claimed_by
        Of the latest claim.
    proposed_at, changed_at
        When it came, and its latest change of state.
    approvals
        Votes that count now.
    result
        What the claimant gave with `done`, byte for byte.
    why
        Reason of the latest failure, rejection or resolution.
    undoes
        Key of the action that this one undoes.
    votes
        Of `get` only; empty in lists.
    """

    scope: str
    key: str
    kind: str
    fingerprint: str
    requester: str
    state: State
    number: int
    seq: int
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
    decision: str = "pass"
    reasons: tuple[str, ...] = ()
    approvals_needed: int = 0
    approvals: int = 0
    expires_at: float | None = None
    warn_at: float | None = None
    on_timeout: str = ""
    on_unknown: OnUnknown = OnUnknown.ASK
    downstream_key: bool = False
    undo: str | None = None
    confidence: float | None = None
    causes: tuple[str, ...] = ()
    keep_s: float | None = None
    result: bytes | None = None
    why: str = ""
    undoes: str | None = None
    votes: tuple[Vote, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A claimant asks to carry out an action.

    Attributes
    ----------
    fingerprint, kind, text_hash, policy_version
        Of what the claimant is about to do. Text and policy version must be those that were decided on, while there is
        a decision to rest on; after `done` the same fingerprint gets its result whatever the text.
    claimant
        Whose token asks (`Token.identity`).
    lease_s
        For how long, above 0.
    attempt
        A random id of this attempt: the same one again, after an answer was lost, is the same claim. Empty: none.
    proposal
        Makes the action in the same statement where there is none, for kinds that pass without a decision. None: an
        action that was not proposed raises `NoSuchAction`. A proposal that needs approvals
        is refused (`InvalidAction`): it must be proposed first.
    """

    scope: str
    key: str
    kind: str
    fingerprint: str
    claimant: str
    lease_s: float
    text_hash: str = ""
    policy_version: str = ""
    attempt: str = ""
    proposal: Proposal | None = None


class ClaimAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a claim.

    `fence` and `lease_until` are set for `mine` (the claimant's own), `lease_until` for `in_flight`; `result` for
    `replay`; `differs` for `mismatch`. `action` is as it is after the answer.
    """

    outcome: Outcome
    action: Action
    fence: int = 0
    lease_until: float | None = None
    result: bytes | None = None
    differs: str = ""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What time alone changed: `warned`, `expired` or `unknown`. Each is returned once, by one process."""

    what: Change
    action: Action


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `hash` covers the others and the entry before it (`monitor.actions.audit`).

    `subject` is what it is about: `action:SCOPE/KEY`, `token:NAME`, `review:ID`. `body` is JSON text of states, fences,
    hashes and names, without what people and models wrote.
    """

    seq: int
    at: float
    actor: str
    what: str
    subject: str
    body: str
    previous: str
    hash: str


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token without its secret.

    `identity` is who acts with it: its person where it has one, so that two tokens of a person are one approver.
    """

    name: str
    scopes: tuple[str, ...]
    app: str = "default"
    person: str = ""
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None

    @property
    def identity(self) -> str:
        """Name of the person, or of the token."""
        return self.person or self.name


class DuplicateCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many requests of one kind of action were duplicates in one way, since the ledger was made."""

    kind: str
    what: Duplicate
    count: int
