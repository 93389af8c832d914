"""The gate's decision about one request: what is known already, what is found out, what the ledger keeps of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from monitor.actions.intent import action_key, fingerprint, text_hash
from monitor.actions.messages import GateAnswer, GateRequest
from monitor.actions.names import checked_name
from monitor.actions.policy import (
    Answer,
    Decide,
    Decision,
    Evidence,
    HoldIf,
    KindPolicy,
    Policy,
    Reason,
    Requires,
    Similar,
    after_attempts,
    decide,
    held,
    reason_of,
)
from monitor.actions.states import Action, NoSuchAction, Proposal, State
from monitor.config_values.plain_errors import did_you_mean
from monitor.events.identity import MAX_SEGMENT_CHARS
from monitor.serve.context import Services
from monitor.serve.measure import Measured, Measurer, similarity
from monitor.serve.problem import Problem
from monitor.serve.streams import StreamStates

SAME_INTENT = 0.6
"""Cosine of two texts' embeddings from which they say nearly the same. Of AlpacaEval's answers, 94 % of those of two
models to one instruction are as near, and 0.4 % of those to two instructions (`benchmarks/gate.py --similar`)."""
MAX_SIMILAR = (
    50  # earlier actions to one target within minutes that are compared; more are a flood, and it is held anyhow
)
KEEP_S = 90 * 86_400.0  # how long a key outlives its outcome: longer than any queue retries
STRIPES = 64  # locks of targets: two questions about one target wait for each other, others hardly ever do
MAX_TARGET_CHARS = 256  # as of every name in the ledger
MAX_TURNS = 500  # of a conversation: hours of talk, and a person reads the end of it


class Gatekeeper:
    """Answers questions; one for a process, called from any of its threads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.policy: Policy = services.settings.gate.policy
        self._counting = threading.Lock()
        self._locks = tuple(threading.Lock() for _ in range(STRIPES))

    def start(self) -> None:
        """Nothing to begin."""

    def close(self) -> None:
        """Nothing to end."""

    def answer(self, asked: GateRequest, scope: str, requester: str, now: float) -> GateAnswer:
        """The answer, recorded and counted. Raises `Problem`, `ActionError` and `LedgerError`.

        `scope` is the application's, `requester` who asks, by its token.
        """
        asked = self._valid(asked)
        if asked.kind in self.policy.attempts:
            answer = self._attempt(asked, scope, requester, now)
        else:
            answer = self._action(asked, scope, requester, now)
        with self._counting:
            self._services.stats.gate_answers[asked.kind, answer.answer.value] += 1
        return answer

    def _action(self, asked: GateRequest, scope: str, requester: str, now: float) -> GateAnswer:
        """What was decided about this action, or is now."""
        kind = self.policy.kinds[asked.kind]
        digest, text = fingerprint(asked.fields), text_hash(asked.output)
        known = self._known(scope, asked.key, digest, text, asked.kind)
        if asked.journaled is not None:
            self._record_alone(asked, scope, requester, now)
        if known is not None:
            return self._of(known, kind)
        if asked.journaled is not None and asked.journaled.answer is Answer.FALL_BACK:
            # The application has gone on without it: there is no action, only the fact that nobody was asked.
            return GateAnswer(
                answer=Answer.FALL_BACK,
                key=asked.key,
                reasons=asked.journaled.reasons,
                fingerprint=digest,
                text_hash=text,
                policy_version=self.policy.version,
            )
        # Of two questions about one target the second must see what the first left in the ledger.
        with self._locks[hash((scope, asked.target)) % STRIPES]:
            decision, measured = self._decide(asked, kind, scope, text, now)
            action = self._propose(asked, kind, decision, measured, scope, requester, now)
        return self._of(action, kind, decision.reasons)

    # --- deciding -----------------------------------------------------------------------------------------------

    def _decide(
        self, asked: GateRequest, kind: KindPolicy, scope: str, text: str, now: float
    ) -> tuple[Decision, Measured]:
        alone = asked.journaled
        may_pass = Answer.PASS in (kind.on_monitor_down, kind.on_timeout)
        if alone is not None and alone.answer is Answer.PASS and may_pass:
            return Decision(answer=Answer.PASS, reasons=tuple(alone.reasons)), Measured()
        if kind.decide is Decide.PASS:
            return Decision(answer=Answer.PASS), Measured()
        wanted = tuple(HoldIf) if kind.decide is Decide.APPROVAL else kind.hold_if
        measured = self._services.part(Measurer).measure(asked, checked=HoldIf.CHECK in wanted)
        found = Evidence(
            violated=measured.violated,
            undecided=measured.undecided,
            similar=self._similar(asked, kind, scope, text, measured, now) if HoldIf.DUPLICATE in wanted else (),
            stream=self._services.part(StreamStates).state(asked.stream) if asked.stream else None,
            attributes=_segments(asked.attributes),
            confidence=asked.confidence,
            fields=asked.fields,
        )
        return decide(asked.kind, kind, found, now), measured

    def _similar(
        self, asked: GateRequest, kind: KindPolicy, scope: str, text: str, measured: Measured, now: float
    ) -> tuple[Similar, ...]:
        """Actions of other keys that said nearly the same to the same target, the most alike first."""
        if not asked.target or not asked.output:
            return ()
        since = now - kind.duplicate_within_s
        found = []
        for key, its_text, embedding in self._services.ledger.similar(
            scope, asked.kind, asked.target, since, MAX_SIMILAR
        ):
            alike = 1.0 if its_text == text else similarity(measured.embedding, embedding)
            if key != asked.key and alike >= SAME_INTENT:
                found.append(Similar(key=key, similarity=round(alike, 3)))
        return tuple(sorted(found, key=lambda one: -one.similarity)[:3])

    def _attempt(self, asked: GateRequest, scope: str, requester: str, now: float) -> GateAnswer:
        """After a failed attempt: again, or a person takes over with the conversation."""
        policy = self.policy.attempts[asked.kind]
        decision = after_attempts(asked.kind, self.policy, asked.failed or 0)
        if asked.journaled is not None and asked.journaled.answer is not Answer.PASS:
            decision = Decision(answer=asked.journaled.answer, reasons=tuple(asked.journaled.reasons))
            self._record_alone(asked, scope, requester, now)
        if decision.answer in (Answer.PASS, Answer.FALL_BACK):
            return GateAnswer(
                answer=decision.answer,
                key=asked.key,
                reasons=list(decision.reasons),
                policy_version=self.policy.version,
            )
        decision = held(
            decision.reasons, policy.expires_s, policy.warn_before_s, now, approvals=1, answer=decision.answer
        )
        kind = KindPolicy(decide=Decide.APPROVAL)
        action = self._propose(asked, kind, decision, Measured(), scope, requester, now)
        answer = self._of(action, kind, decision.reasons)
        # A person has taken over, or has not yet: the application hands over in both cases.
        return msgspec.structs.replace(answer, answer=decision.answer)

    # --- the ledger ---------------------------------------------------------------------------------------------

    def _known(self, scope: str, key: str, digest: str, text: str, kind: str) -> Action | None:
        """The action of this key, where what was decided about it still holds for this text and policy."""
        try:
            known = self._services.ledger.get(scope, key)
        except NoSuchAction:
            return None
        if known.kind != kind or known.fingerprint != digest:
            return None  # the ledger refuses it as a mismatch, and counts it
        if known.state in (State.HELD, State.ALLOWED, State.FAILED):
            same = known.text_hash == text and known.policy_version == self.policy.version
            return known if same else None  # decided again; earlier votes do not count for another text
        return known

    def _propose(
        self,
        asked: GateRequest,
        kind: KindPolicy,
        decision: Decision,
        measured: Measured,
        scope: str,
        requester: str,
        now: float,
    ) -> Action:
        payload: dict[str, Any] = {"output": asked.output} if asked.output is not None else {}
        if asked.input is not None:
            payload["input"] = asked.input
        if asked.conversation:
            payload["conversation"] = [msgspec.to_builtins(turn) for turn in asked.conversation[-MAX_TURNS:]]
        proposal = Proposal(
            scope=scope,
            key=asked.key,
            kind=asked.kind,
            fingerprint=fingerprint(asked.fields),
            requester=requester,
            stream=asked.stream,
            event=asked.event,
            target=asked.target,
            fields=asked.fields,
            payload=payload,
            text_hash=text_hash(asked.output),
            policy_version=self.policy.version,
            decision=decision.answer.value,
            reasons=tuple(reason.line() for reason in decision.reasons),
            approvals_needed=decision.approvals_needed,
            expires_at=decision.expires_at,
            warn_at=decision.warn_at,
            on_timeout=kind.on_expired.value,
            on_unknown=kind.on_unknown,
            downstream_key=kind.downstream_key,
            undo=asked.undo,
            confidence=asked.confidence,
            embedding=measured.embedding,
            causes=tuple(asked.causes),
            keep_s=None if kind.decide is Decide.APPROVAL else KEEP_S,
        )
        return self._services.ledger.propose(proposal, now)

    def _of(self, action: Action, kind: KindPolicy, reasons: tuple[Reason, ...] | None = None) -> GateAnswer:
        """What an application is to do, by where the action stands. What is claimed or done, the claim says."""
        shown = [reason_of(line) for line in action.reasons] if reasons is None else list(reasons)
        answer = Answer.PASS
        if action.state is State.HELD:
            answer = Answer(action.decision) if action.decision != Answer.PASS else Answer.HOLD
        elif action.state is State.EXPIRED:
            answer = kind.on_expired
            shown.append(Reason("expired", "Nobody decided in time."))
        elif action.state is State.REJECTED:
            answer = Answer.FALL_BACK
            shown.append(Reason("rejected", f"A person rejected it{': ' + action.why if action.why else ''}."))
        elif action.state is State.UNDONE:
            answer = Answer.FALL_BACK
            shown.append(Reason("undone", "It was done, and undone since."))
        return GateAnswer(
            answer=answer,
            key=action.key,
            reasons=shown,
            state=action.state.value,
            fingerprint=action.fingerprint,
            text_hash=action.text_hash,
            policy_version=action.policy_version,
            approvals_needed=action.approvals_needed,
            approvals=action.approvals,
            expires_at=action.expires_at,
        )

    def _record_alone(self, asked: GateRequest, scope: str, requester: str, now: float) -> None:
        """In the audit log: the client had answered by itself."""
        said = asked.journaled
        assert said is not None
        body = {"at": said.at, "answer": said.answer.value, "reasons": [one.code for one in said.reasons]}
        subject = f"gate:{scope}/{asked.key}"  # of the question: there may be no action
        self._services.ledger.write(lambda tx: tx.record(now, requester, "answered_alone", subject, body))

    # --- the question -------------------------------------------------------------------------------------------

    def _valid(self, asked: GateRequest) -> GateRequest:
        """The question with its key in normal form. Raises `Problem`, `InvalidAction`."""
        if asked.kind in self.policy.attempts:
            if asked.failed is None or asked.failed < 0:
                raise _wrong("attempt-without-count", "failed", "must be the number of attempts that failed")
            if not asked.key:
                raise _wrong("key-required", "key", "must name the conversation")
        elif asked.kind not in self.policy.kinds:
            known = [*self.policy.kinds, *self.policy.attempts]
            hint = did_you_mean(asked.kind, known) or ": the section `gate` of the settings has none"
            raise _wrong("unknown-kind", "kind", f"no kind of action is called {asked.kind[:80]!r}{hint}")
        else:
            given = {Requires.KEY: asked.key, Requires.UNDO: asked.undo, Requires.TARGET: asked.target}
            for needed in self.policy.kinds[asked.kind].requires:
                if not given[needed]:
                    raise _wrong(f"{needed}-required", needed.value, f"is required for the kind {asked.kind}")
        if asked.confidence is not None and not 0 <= asked.confidence <= 1:
            raise _wrong("invalid-body", "confidence", "must be between 0 and 1")
        key = action_key(asked.key) if asked.key else f"{asked.kind}:{uuid.uuid4()}"
        target = checked_name(asked.target, "target", MAX_TARGET_CHARS) if asked.target else ""
        return msgspec.structs.replace(asked, key=key, target=target)


def _segments(attributes: Mapping[str, str]) -> dict[str, str]:
    """Under the names that alerts give them (`monitor.events.identity.segments`)."""
    return {
        name if name.startswith(("model.", "prompt.")) else f"attributes.{name}": value[:MAX_SEGMENT_CHARS]
        for name, value in attributes.items()
    }


def _wrong(code: str, field: str, what: str) -> Problem:
    return Problem(422, code, f"{field}: {what}.", pointer=f"$.{field}")
