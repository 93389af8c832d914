"""What a ledger is, for the server, the commands and the courier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from monitor.actions.states import (
    Action,
    AuditEntry,
    Claim,
    ClaimAnswer,
    Due,
    DuplicateCount,
    Proposal,
    State,
    Token,
)
from monitor.errors import OqmError

T = TypeVar("T")


class LedgerError(OqmError):
    """The ledger cannot be opened, read or written; the message says which, why, and what to do.

    After a write it is not known whether it was applied: ask again (`get`, or the same claim with its `attempt`).
    """


class NoLedger(LedgerError):
    """There is none at this address."""


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message that waits for the courier. `topic` is `actions` or `reviews`; `key` is the message's key in Kafka."""

    id: int
    topic: str
    key: str
    body: bytes


class Transaction(Protocol):
    """What a function given to `Ledger.write` gets."""

    @property
    def connection(self) -> Any:
        """SQLAlchemy's `Connection`, inside the transaction."""
        ...

    def record(self, at: float, actor: str, what: str, subject: str, body: dict[str, Any]) -> AuditEntry:
        """Append to the audit log."""
        ...

    def publish(self, topic: str, key: str, body: bytes) -> None:
        """Put a message into the outbox."""
        ...


class Ledger(Protocol):
    """Actions with their claims, approvals and audit log.

    All methods block and may be called from any thread and process. They raise `LedgerError` where the database does
    not answer, `NoSuchAction` where scope and key name nothing, `InvalidAction` for names, times or numbers that cannot
    be. `now` is the caller's clock, in seconds since 1970; clocks of processes must agree to well below a lease.
    """

    # Actions

    def propose(self, proposal: Proposal, now: float) -> Action:
        """Enter an action: `allowed`, or `held` where it waits for people.

        The same key again is the existing action. With another text or policy version it replaces the former one,
        whose votes no longer count, as long as nothing has begun (held, allowed, failed). Raises `Mismatch` for another
        kind or fingerprint.
        """
        ...

    def claim(self, claim: Claim, now: float) -> ClaimAnswer:
        """At most one live claim for an action, by one statement. An approval is used by it."""
        ...

    def done(self, scope: str, key: str, fence: int, result: bytes, now: float) -> Action:
        """The claimant has carried it out. The same again is the same answer.

        Counts after the lease too, while nobody else has claimed or resolved it. Raises `StaleFence`.
        """
        ...

    def failed(self, scope: str, key: str, fence: int, why: str, now: float) -> Action:
        """The claimant knows that nothing happened. Raises `StaleFence`."""
        ...

    def extend(self, scope: str, key: str, fence: int, lease_s: float, now: float) -> Action:
        """A longer lease, from now; only while the present one lasts. Raises `StaleFence`."""
        ...

    def resolve(
        self, scope: str, key: str, outcome: State, by: str, why: str, now: float, result: bytes = b""
    ) -> Action:
        """Say how an `unknown` action (or one whose lease is over) ended: `State.DONE` or `State.FAILED`.

        Raises `NotAllowed` where it is not unknown.
        """
        ...

    def undo(self, scope: str, key: str, by: str, why: str, now: float) -> Action:
        """The action `undo:<key>`, to be claimed like any other, with the fingerprint and kind of the original.

        The original is `undone` once it is done. Raises `NotAllowed` where the original is not done or has no undo.
        """
        ...

    def get(self, scope: str, key: str) -> Action:
        """One action, with its votes. Raises `NoSuchAction`."""
        ...

    def list(
        self,
        *,
        scope: str | None = None,
        state: State | None = None,
        kind: str | None = None,
        stream: str | None = None,
        event: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[Action]:
        """Actions, the newest first; the next page: `before` the `number` of the last one."""
        ...

    def similar(self, scope: str, kind: str, target: str, since: float, limit: int) -> Sequence[tuple[str, str, bytes]]:
        """(key, text_hash, embedding) of actions to a target proposed since a time and not rejected or expired."""
        ...

    # People

    def approve(
        self, scope: str, key: str, by: str, fingerprint: str, text_hash: str, policy_version: str, now: float
    ) -> Action:
        """One person allows what they saw: fingerprint, text hash and policy version are part of it.

        Raises `NotAllowed`.
        """
        ...

    def reject(self, scope: str, key: str, by: str, why: str, now: float) -> Action:
        """One person rejects it, for good; also what is allowed and not yet claimed. Raises `NotAllowed`."""
        ...

    # Time

    def due(self, now: float) -> Sequence[Due]:
        """Apply what time changes, warnings, expiry, leases that are over, at most 1,000 of each a call."""
        ...

    def forget(self, now: float) -> int:
        """Delete final actions whose `keep_s` is over. Returns how many. The audit log stays."""
        ...

    # Audit log, outbox, counts

    def audit(self, after_seq: int = 0, limit: int = 1000) -> Sequence[AuditEntry]:
        """Entries of the audit log in order."""
        ...

    def audit_end(self) -> tuple[int, str]:
        """Number and hash of the latest entry; (0, 64 zeros) before the first."""
        ...

    def verify_audit(self) -> int | None:
        """The first entry that is missing, changed, or contradicted by the rows of actions; None: all are right."""
        ...

    def outbox_turn(self, by: str, now: float, for_s: float) -> bool:
        """Whether the process `by` is the courier, from now on and for so long; one is at a time, so order is kept."""
        ...

    def outbox_leave(self, by: str) -> None:
        """The process ends: another one may be the courier at once."""
        ...

    def outbox_take(self, limit: int = 500) -> Sequence[OutboxRow]:
        """The oldest messages that are not confirmed."""
        ...

    def outbox_sent(self, ids: Sequence[int]) -> None:
        """These are confirmed by the broker."""
        ...

    def outbox_waiting(self) -> int:
        """How many messages wait."""
        ...

    def duplicates(self) -> Sequence[DuplicateCount]:
        """Counts of replayed claims, mismatches, stale fences, by kind of action."""
        ...

    # Tokens

    def token_create(
        self,
        name: str,
        scopes: Sequence[str],
        now: float,
        *,
        app: str = "default",
        person: str = "",
        expires_at: float | None = None,
        by: str = "",
    ) -> str:
        """The secret of a new token (256 random bits), which is returned once and stored as its SHA-256.

        Raises `InvalidAction` where the name is taken.
        """
        ...

    def token_find(self, secret: str, now: float) -> Token | None:
        """The token of a secret; None where there is none, or it has expired or was revoked."""
        ...

    def token_revoke(self, name: str, now: float, by: str = "") -> bool:
        """End a token at once. False where there is none with this name."""
        ...

    def token_list(self) -> Sequence[Token]:
        """All tokens, revoked ones too."""
        ...

    # For the other parts of the ledger (reviews, edges)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction with others that wait (group commit); when it raises, its part is rolled back.

        Returns after the commit. `work` must not block on anything but the database, and may be run again when a
        connection broke before the commit.
        """
        ...

    def read(self, work: Callable[[Any], T]) -> T:
        """Run `work` on a `Connection` that writes nothing."""
        ...

    def close(self) -> None:
        """Finish what waits, and release connections and files."""
        ...
