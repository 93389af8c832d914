"""Claims of actions: taking one, keeping its lease while a function runs, and saying how it ended."""

from __future__ import annotations

import logging
import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec

from monitor.actions.messages import ClaimRequest, DoneRequest, ExtendRequest, FailRequest, GateAnswer
from monitor.actions.policy import Answer, Policy, Reason
from monitor.gate.catch_up import Ran
from monitor.gate.journal import Journal, JournalError
from monitor.gate.outcomes import GateRefused, Held
from monitor.gate.transport import TimedOut, Unreachable
from monitor.gate.wire import Granted, Replayed, Wire

log = logging.getLogger(__name__)

MAX_WHY_CHARS = 500  # of an error, in the ledger: enough to recognise it
OVER_S = 0.001  # the shortest lease: one that is given up
EXTEND_AFTER = 1 / 3  # of the lease: two more attempts fit in before it is over


class Claim:
    """A claimed action; end it with `done`, `failed` or `lost`.

    Attributes
    ----------
    key
        The action's key, for the receiving system (`Idempotency-Key`).
    """

    def __init__(self, claims: Claims, kind: str, answer: GateAnswer, attempt: str, granted: Granted | None) -> None:
        self.key = answer.key
        self._claims, self._kind, self._answer, self._attempt = claims, kind, answer, attempt
        self._fence = None if granted is None else granted.fence

    def done(self, result: Any = None) -> None:
        """The effect took place; `result` (what JSON can hold) is what later calls with this key get."""
        body = _json(self.key, result)
        if self._fence is None:
            claim = _request(self._kind, self._answer, self._attempt, self._claims.lease_s)
            self._claims.journal_later("ran", self.key, Ran(claim=claim, result=msgspec.Raw(body)))
        else:
            self._claims.report(self.key, "done", DoneRequest(fence=self._fence, result=msgspec.Raw(body)))

    def failed(self, why: str) -> None:
        """Nothing happened, for certain: it may be tried again."""
        if self._fence is not None:  # else it was never claimed: the monitor knows of the question only
            self._claims.report(self.key, "fail", FailRequest(fence=self._fence, why=why[:MAX_WHY_CHARS] or "failed"))

    def lost(self, why: str) -> None:
        """It may have happened: the lease ends now, and what follows is the kind's `on_unknown`."""
        log.warning("the outcome of %s is unknown: %s", self.key, why)
        if self._fence is not None:
            self._claims.report(self.key, "extend", ExtendRequest(fence=self._fence, lease_s=OVER_S))


class Claims:
    """The claims of a process, whose leases it extends until they end."""

    def __init__(
        self,
        wire: Wire,
        journal: Journal,
        *,
        lease_s: float,
        timeout_s: float,
        policy: Callable[[], Policy | None],
    ) -> None:
        self.lease_s = lease_s
        self._wire, self._journal, self._timeout_s, self._policy = wire, journal, timeout_s, policy
        self._lock = threading.Lock()
        self._due: dict[tuple[str, int], float] = {}

    def take(self, kind: str, answer: GateAnswer) -> Claim | Replayed:
        """Claim what the gate let pass; or what was given when it was done before. Raises a `NotRun`, `GateRefused`.

        Where the monitor is down, a kind that passes then is run without a claim: nothing keeps another process from
        the same. Others are held.
        """
        attempt = uuid.uuid4().hex
        if not answer.state:  # the client's own answer, while the monitor was down
            return Claim(self, kind, answer, attempt, None)
        request = _request(kind, answer, attempt, self.lease_s)
        try:
            granted = self._claim(answer.key, request)
        except Unreachable as error:
            policy = self._policy()
            named = policy.kinds.get(kind) if policy is not None else None
            down = named.on_timeout if named and isinstance(error, TimedOut) else named and named.on_monitor_down
            if down is Answer.PASS:
                return Claim(self, kind, answer, attempt, None)
            code = "timeout" if isinstance(error, TimedOut) else "monitor_down"
            raise Held(answer.key, (Reason(code, f"The monitor did not answer: {error}."),)) from error
        if isinstance(granted, Replayed):
            return granted
        with self._lock:
            self._due[answer.key, granted.fence] = time.monotonic() + self.lease_s * EXTEND_AFTER
        return Claim(self, kind, answer, attempt, granted)

    def _claim(self, key: str, request: ClaimRequest) -> Granted | Replayed:
        try:
            return self._wire.claim(key, request, self._timeout_s)
        except Unreachable:
            # The answer may be lost and the claim ours: the same attempt gets the same answer.
            return self._wire.claim(key, request, self._timeout_s)

    def resolve(self, key: str, outcome: str, why: str, result: Any = None) -> None:
        """How an unknown action ended: `done` with its result, or `failed`. Raises `Unreachable`, `GateRefused`."""
        body = _json(key, result) if outcome == "done" else None
        self._wire.resolve(key, outcome, why[:MAX_WHY_CHARS], body, self._timeout_s)

    def report(self, key: str, what: str, outcome: DoneRequest | FailRequest | ExtendRequest) -> None:
        """Say how a claim ended; later, where the monitor does not answer."""
        with self._lock:
            self._due.pop((key, outcome.fence), None)
        try:
            if isinstance(outcome, DoneRequest):
                self._wire.done(key, outcome.fence, bytes(outcome.result), self._timeout_s)
            elif isinstance(outcome, FailRequest):
                self._wire.fail(key, outcome.fence, outcome.why, self._timeout_s)
            else:
                self._wire.extend(key, outcome.fence, outcome.lease_s, self._timeout_s)
        except Unreachable:
            if not isinstance(outcome, ExtendRequest):  # a lease ends by itself
                self.journal_later(what, key, outcome)
        except GateRefused as error:
            # The function has run: its caller gets its result. That the monitor counts another outcome is for a person.
            log.error("the outcome of %s (%s) does not count: %s", key, what, error)

    def journal_later(self, what: str, key: str, body: msgspec.Struct) -> None:
        """Into the journal; where that fails the outcome is lost, and the action is unknown when its lease ends."""
        try:
            self._journal.append(what, key, time.time(), msgspec.json.encode(body))
        except JournalError as error:
            log.error("the outcome of %s (%s) is lost: %s", key, what, error)

    def next_due(self) -> float:
        """When the next lease is to be extended, on the monotonic clock."""
        with self._lock:
            return min(self._due.values(), default=math.inf)

    def extend_those_due(self) -> None:
        """Extend the leases of functions that still run."""
        now = time.monotonic()
        with self._lock:
            due = [claim for claim, at in self._due.items() if at <= now]
        for key, fence in due:
            try:
                self._wire.extend(key, fence, self.lease_s, self._timeout_s)
            except Unreachable:
                pass  # tried again below, as long as the lease may last
            except GateRefused as error:
                log.error("the lease of %s cannot be extended, and its function still runs: %s", key, error)
                with self._lock:
                    self._due.pop((key, fence), None)
                continue
            with self._lock:
                if (key, fence) in self._due:
                    self._due[key, fence] = time.monotonic() + self.lease_s * EXTEND_AFTER

    def forget(self) -> None:
        """After a fork: the parent's claims are the parent's."""
        self._lock, self._due = threading.Lock(), {}


def _request(kind: str, answer: GateAnswer, attempt: str, lease_s: float) -> ClaimRequest:
    return ClaimRequest(
        kind=kind,
        fingerprint=answer.fingerprint,
        text_hash=answer.text_hash,
        policy_version=answer.policy_version,
        attempt=attempt,
        lease_s=lease_s,
    )


def _json(key: str, result: Any) -> bytes:
    try:
        return msgspec.json.encode(result)
    except (TypeError, ValueError, OverflowError) as error:
        # It has happened, so it is done; only later calls with this key get nothing.
        log.error("the result of %s cannot be kept, later calls get None: %s", key, error)
        return b"null"
