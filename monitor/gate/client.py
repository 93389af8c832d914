"""`Gate`: an application asks the monitor before it acts, and gets an answer whether or not the monitor is there.

    gate = Gate("https://monitor.example:8086", token, cache="/var/lib/outreach")

    @gate.action("email", key="email:{lead}:{campaign}:{step}", stream="outreach/email", text="draft", target="to")
    def send(lead, campaign, step, to, draft, idempotency_key): ...

    answer = gate.ask("email", key="email:7:autumn:2", stream="outreach/email", output=draft, target="a@b.example")

Standard library and msgspec only. May import `monitor.actions` and its neighbours in this package.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from monitor.actions.intent import action_key, fingerprint, text_hash
from monitor.actions.messages import GateAnswer, GateRequest, Journaled, Turn
from monitor.actions.policy import Answer, Decision, Policy, Reason, Requires, after_attempts, unreachable
from monitor.actions.states import InvalidAction
from monitor.errors import ConfigError
from monitor.gate.cached_policy import CachedPolicy
from monitor.gate.catch_up import send_waiting
from monitor.gate.claims import EXTEND_AFTER, Claims
from monitor.gate.decorator import Declared, F
from monitor.gate.journal import Journal, JournalError
from monitor.gate.outcomes import GateRefused
from monitor.gate.transport import TimedOut, Transport, Unreachable
from monitor.gate.wire import Wire

log = logging.getLogger(__name__)

RETRY_S = 1.0  # between attempts to reach a monitor that is down while entries wait: it costs one refused connection
MAX_LEASE_S = 3_600.0  # a worker that was lost must not block an action for longer than anybody waits


class Gate:
    """Asks one monitor. Make it once for a process; its methods may be called from any thread.

    Parameters
    ----------
    url, token
        Of the monitor (`oqm serve`), and a token with the scopes gate and act (`oqm token create`).
    cache
        A folder for the policy and the journal, which outlive the process; several processes may share it. None: in
        memory, so a process that was never in touch with the monitor holds, and what the journal holds at its end is
        lost.
    timeout_s
        How long an answer may take, all of it.
    lease_s
        For how long an action is claimed; extended while its function runs.
    refresh_s
        How often the policy is asked for.
    ca_file
        Certificates to trust in place of the system's.

    Raises `ConfigError` for what cannot work. Connects later: it returns at once, monitor or no monitor.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        cache: str | Path | None = None,
        timeout_s: float = 1.0,
        lease_s: float = 60.0,
        refresh_s: float = 30.0,
        ca_file: str | None = None,
    ) -> None:
        if not timeout_s > 0 or not refresh_s > 0:
            raise ConfigError("Gate(...): timeout_s and refresh_s must be above 0")
        if not 0 < lease_s <= MAX_LEASE_S:
            raise ConfigError(f"Gate(lease_s={lease_s}): must be above 0 and at most {MAX_LEASE_S:g}")
        folder = None if cache is None else Path(cache)
        try:
            self.journal = Journal(folder)
        except JournalError as error:
            raise ConfigError(f"Gate(cache=...): {error}") from None
        self._cached = CachedPolicy(folder)
        self.timeout_s, self._refresh_s = timeout_s, refresh_s
        self._wire = Wire(Transport(url, token, ca_file))
        self.claims = Claims(self._wire, self.journal, lease_s=lease_s, timeout_s=timeout_s, policy=self._policy)
        self._wake, self._closed = threading.Event(), False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._start_thread()

    # --- asking -------------------------------------------------------------------------------------------------

    def ask(
        self,
        kind: str,
        *,
        key: str = "",
        timeout_s: float | None = None,
        conversation: Sequence[Turn | tuple[str, str]] = (),
        **proposal: Any,
    ) -> GateAnswer:
        """May this be done? `proposal`: the other fields of `GateRequest` (stream, output, target, fields, undo, ...).

        Where the monitor does not answer within `timeout_s`, or is down, the answer is the one that the kind's policy
        names, and the question goes to the journal. Raises `GateRefused` where the question itself is wrong.
        """
        try:
            key = action_key(key) if key else ""
            request = GateRequest(kind=kind, key=key, conversation=_turns(conversation), **proposal)
            digest = fingerprint(request.fields)
        except InvalidAction as error:
            raise GateRefused(str(error), "invalid-action") from None
        except TypeError as error:
            raise GateRefused(f"ask(...): {error}", "invalid-body") from None
        self._refuse_what_lacks(request)
        if not key:
            # Made up here, so that the answer and what the journal sends later are about one action.
            request = msgspec.structs.replace(request, key=f"{kind}:{uuid.uuid4()}")
        return self._answer(request, digest, timeout_s, lambda timed_out, why: self._alone(kind, timed_out, why))

    def failed_attempt(
        self,
        name: str,
        key: str,
        failed: int,
        *,
        conversation: Sequence[Turn | tuple[str, str]] = (),
        timeout_s: float | None = None,
        **proposal: Any,
    ) -> GateAnswer:
        """An attempt of this name (`gate.attempts` in the settings) has failed, the `failed`-th in this conversation.

        `key` names the conversation. The answer is pass: try again; or what the policy names, usually hand over: a
        person takes over, who gets `conversation`. Raises `GateRefused` where the question itself is wrong.
        """
        try:
            request = GateRequest(
                kind=name,
                key=action_key(f"{name}:{key}"),
                failed=failed,
                conversation=_turns(conversation),
                **proposal,
            )
        except InvalidAction as error:
            raise GateRefused(str(error), "invalid-action") from None

        def alone(timed_out: bool, why: str) -> Decision:
            decision = after_attempts(name, self.policy, failed)
            code = "timeout" if timed_out else "monitor_down"
            down = Reason(code, f"The monitor did not answer: {why}.")
            return msgspec.structs.replace(decision, reasons=(down, *decision.reasons))

        return self._answer(request, fingerprint(request.fields), timeout_s, alone)

    def action(self, kind: str, **declared: Any) -> Callable[[F], F]:
        """A decorator: the function runs only where the gate lets it pass, and once for a key.

        `declared`: see `monitor.gate.decorator.Declared`.
        """
        return Declared(self, kind, **declared)

    # --- what it knows ------------------------------------------------------------------------------------------

    @property
    def policy(self) -> Policy | None:
        """The policy as the monitor last gave it; None before it was first reached."""
        return self._cached.policy

    def _policy(self) -> Policy | None:
        return self._cached.policy

    def refresh(self, timeout_s: float | None = None) -> None:
        """Ask for the policy now. Raises `Unreachable` or `GateRefused`."""
        found = self._wire.policies(self._cached.etag, timeout_s or self.timeout_s)
        if found is not None:
            self._cached.keep(*found)

    def catch_up(self, timeout_s: float | None = None) -> int:
        """Send what the journal holds now. Returns how many entries still wait."""
        return send_waiting(self.journal, self._wire, timeout_s or self.timeout_s)

    def close(self) -> None:
        """Send what waits, as far as the monitor answers, and end the connections."""
        self._closed = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(self.timeout_s * 2)
        if not self.journal.is_empty():
            self.catch_up()
        self._wire.transport.close()

    def __enter__(self) -> Gate:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------------------------------

    def _answer(
        self,
        request: GateRequest,
        digest: str,
        timeout_s: float | None,
        alone: Callable[[bool, str], Decision],
    ) -> GateAnswer:
        self._start_thread()
        try:
            body = msgspec.json.encode(request)
        except (TypeError, ValueError, OverflowError) as error:
            raise GateRefused(f"ask(...): {error}", "invalid-body") from None
        try:
            answer = self._wire.ask(body, self.timeout_s if timeout_s is None else timeout_s)
        except Unreachable as error:
            decision = alone(isinstance(error, TimedOut), str(error))
            return self._journaled(request, digest, decision)
        if self.policy is None or answer.policy_version != self.policy.version:
            self._wake.set()
        return answer

    def _alone(self, kind: str, timed_out: bool, why: str) -> Decision:
        return unreachable(kind, self.policy, timed_out=timed_out, why=why)

    def _journaled(self, request: GateRequest, digest: str, decision: Decision) -> GateAnswer:
        """The client's own answer, which the monitor gets later."""
        now, reasons = time.time(), list(decision.reasons)
        again = decision.answer is Answer.PASS and request.failed is not None
        if not again:  # an attempt that is repeated leaves nothing to be recorded
            said = Journaled(at=now, answer=decision.answer, reasons=reasons)
            body = msgspec.json.encode(msgspec.structs.replace(request, journaled=said))
            try:
                self.journal.append("gate", request.key, now, body)
            except JournalError as error:
                # The policy's answer stands: what costs so little that it passes unseen may also pass unrecorded.
                log.error("the monitor will not hear of %s: %s", request.key, error)
                reasons.append(Reason("journal", f"The monitor will not hear of it: {error}."))
        return GateAnswer(
            answer=decision.answer,
            key=request.key,
            reasons=reasons,
            fingerprint=digest,
            text_hash=text_hash(request.output),
            policy_version=self.policy.version if self.policy is not None else "",
        )

    def _refuse_what_lacks(self, request: GateRequest) -> None:
        """As the monitor would, and also while it is down. Raises `GateRefused`."""
        kind = self.policy.kinds.get(request.kind) if self.policy is not None else None
        given = {Requires.KEY: request.key, Requires.UNDO: request.undo, Requires.TARGET: request.target}
        for needed in kind.requires if kind is not None else ():
            if not given[needed]:
                raise GateRefused(f"ask(kind={request.kind!r}): this kind requires `{needed}`", f"{needed}-required")

    def _start_thread(self) -> None:
        """A thread keeps the policy, the leases and the journal up to date; after a fork it is another one."""
        forked = self._pid != os.getpid()
        if self._thread is not None and self._thread.is_alive() and not forked:
            return
        if forked:
            self._pid, self._wake = os.getpid(), threading.Event()
            self._wire.transport.forget()
            self.claims.forget()
            self.journal.forget()
        self._thread = threading.Thread(target=self._run, name="oqm-gate", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        refresh_at = 0.0
        while not self._closed:
            down = False
            woken = self._wake.is_set()
            self._wake.clear()
            if woken or time.monotonic() >= refresh_at:
                down = not self._refreshed()
                refresh_at = time.monotonic() + self._refresh_s
            if not down and not self.journal.is_empty():
                down = self._caught_up() > 0
            if down and (self.policy is None or not self.journal.is_empty()):
                refresh_at = time.monotonic() + min(RETRY_S, self._refresh_s)
            self.claims.extend_those_due()
            # A claim taken while this waits is due after a third of its lease: it is seen in time.
            soon = min(refresh_at, self.claims.next_due(), time.monotonic() + self.claims.lease_s * EXTEND_AFTER / 2)
            self._wake.wait(max(0.0, soon - time.monotonic()))

    def _refreshed(self) -> bool:
        try:
            self.refresh()
        except Unreachable:
            return False
        except GateRefused as error:
            log.error("the policy cannot be read: %s", error)
            return False
        return True

    def _caught_up(self) -> int:
        try:
            return self.catch_up()
        except (JournalError, OSError) as error:
            log.error("the journal cannot be sent: %s", error)
            return 1


def _turns(conversation: Sequence[Turn | tuple[str, str]]) -> list[Turn]:
    return [turn if isinstance(turn, Turn) else Turn(role=turn[0], text=turn[1]) for turn in conversation]
