"""What the gate answers: pass, hold, fall back or hand over, by kind of action, with the reasons.

The policy is data: the server reads it from its settings and hands it to clients, which decide by the same functions
while the server does not answer. Nothing here asks for the time or reads a file. Pure, and part of the small install:
may import msgspec, the standard library and its neighbours in this package.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from monitor.actions.states import OnUnknown

STATE_TOO_OLD_S = 60.0  # twelve refreshes of a stream's state; after a missed minute nobody knows whether it is calm


class Answer(StrEnum):
    """What an application is to do."""

    PASS = "pass"
    HOLD = "hold"  # wait: a person decides, or the same key is asked again later
    FALL_BACK = "fall_back"  # do what it does without this action
    HAND_OVER = "hand_over"  # a person takes the conversation over


class Decide(StrEnum):
    """How a kind of action is decided."""

    PASS = "pass"
    CHECKED = "checked"
    APPROVAL = "approval"


class HoldIf(StrEnum):
    """What holds an action of a `checked` kind."""

    CHECK = "check"  # the text violates a check of its stream
    DRIFT = "drift"  # an alert about the stream's outputs is open
    DUPLICATE = "duplicate"  # another key said the same to the same target minutes ago
    UNSURE = "unsure"  # something that the decision needs is not known


class Requires(StrEnum):
    """What a proposal of a kind must bring."""

    KEY = "key"
    UNDO = "undo"
    TARGET = "target"


class KindPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for one kind of action; `gate.kinds` in the settings says what each field means."""

    decide: Decide
    hold_if: tuple[HoldIf, ...] = ()
    on_timeout: Answer = Answer.HOLD
    on_monitor_down: Answer = Answer.HOLD
    on_expired: Answer = Answer.FALL_BACK
    on_unknown: OnUnknown = OnUnknown.ASK
    downstream_key: bool = False
    requires: tuple[Requires, ...] = ()
    approvers: int = 1
    two_above: float | None = None
    amount: str = "amount"
    expires_s: float = 14_400.0
    warn_before_s: float = 1_800.0
    duplicate_within_s: float = 600.0
    least_confidence: float | None = None
    least_quality: float | None = None


class AttemptPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often something may be tried in one conversation before a person takes over."""

    most: int
    then: Answer = Answer.HAND_OVER
    expires_s: float = 900.0
    warn_before_s: float = 300.0


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """All kinds and attempts; `version` names its content: an approval is given under one version."""

    kinds: dict[str, KindPolicy] = {}
    attempts: dict[str, AttemptPolicy] = {}
    version: str = ""


def versioned(kinds: Mapping[str, KindPolicy], attempts: Mapping[str, AttemptPolicy]) -> Policy:
    """A policy with its version: 16 hexadecimal digits of its content."""
    unnamed = Policy(kinds=dict(kinds), attempts=dict(attempts))
    content = msgspec.json.encode(unnamed, order="deterministic")
    return msgspec.structs.replace(unnamed, version=hashlib.sha256(content).hexdigest()[:16])


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an answer is not pass, for programs (`code`, `about`) and for people (`says`).

    Attributes
    ----------
    code
        `check`, `drift`, `duplicate`, `unsure`, `quality`, `confidence`, `approval`, `two_approvers`, `attempts`,
        `timeout`, `monitor_down`, `no_policy`, `expired`, `rejected`.
    says
        One sentence without what the output said.
    about
        Name of the check, id of the alert, key of the other action.
    """

    code: str
    says: str
    about: str = ""

    def line(self) -> str:
        """As the ledger keeps it and people read it: `check(no_promises): The output contains "guaranteed".`"""
        return f"{self.code}({self.about}): {self.says}" if self.about else f"{self.code}: {self.says}"


_LINE = re.compile(r"(\w+)(?:\((.*?)\))?: (.*)", re.DOTALL)


def reason_of(line: str) -> Reason:
    """The reason of a line of the ledger."""
    found = _LINE.fullmatch(line)
    return Reason("other", line) if found is None else Reason(found[1], found[3], found[2] or "")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with its reasons; of what is held, who must agree and until when."""

    answer: Answer
    reasons: tuple[Reason, ...] = ()
    approvals_needed: int = 0
    expires_at: float | None = None
    warn_at: float | None = None


class OpenAlert(msgspec.Struct, frozen=True, kw_only=True):
    """An alert of a stream that has fired and not resolved. `segment`: the part of the traffic, None: all of it."""

    id: str
    kind: str
    title: str
    segment: dict[str, str] | None = None


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Share of a stream's outputs that pass a criterion, with its interval, by `judged` outputs."""

    criterion: str
    low: float
    high: float
    judged: int


class StreamState(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the stream an output belongs to, read at `known_at` (seconds since 1970; None: never)."""

    known_at: float | None = None
    alerts: tuple[OpenAlert, ...] = ()
    evaluator_down: tuple[str, ...] = ()
    quality: tuple[Quality, ...] = ()
    why_unknown: str = ""


class Similar(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier action of another key that said nearly the same to the same target."""

    key: str
    similarity: float


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a proposed action.

    Attributes
    ----------
    violated
        For each violated check its name and what the output does ("is longer than 120 words").
    undecided
        For each check that could not be decided its name and why.
    stream
        None where the proposal names no stream.
    """

    violated: tuple[tuple[str, str], ...] = ()
    undecided: tuple[tuple[str, str], ...] = ()
    similar: tuple[Similar, ...] = ()
    stream: StreamState | None = None
    attributes: dict[str, str] = {}
    confidence: float | None = None
    fields: dict[str, object] = {}


def decide(kind: str, policy: KindPolicy, found: Evidence, now: float) -> Decision:
    """The answer to a proposed action of this kind, at `now` (seconds since 1970).

    A kind that passes, passes. One that needs approval is held whatever is found and however sure its author is; those
    who approve see what was found. A checked one is held by each of the findings that its `hold_if` names.
    """
    if policy.decide is Decide.PASS:
        return Decision(answer=Answer.PASS)
    wanted = policy.hold_if
    if policy.decide is Decide.APPROVAL:  # it is held anyhow: what nobody asked about is no news to those who approve
        wanted = tuple(each for each in HoldIf if each is not HoldIf.DRIFT or found.stream is not None)
    reasons = tuple(_findings(wanted, policy, found, now))
    if policy.decide is Decide.APPROVAL:
        reasons = (Reason("approval", f"{kind} needs a person's approval every time."), *reasons)
        needed = policy.approvers
        if (two := _needs_two(policy, found.fields)) is not None:
            needed = max(2, needed)
            reasons = (*reasons, two)
    elif reasons:
        needed = 1
    else:
        return Decision(answer=Answer.PASS)
    return held(reasons, policy.expires_s, policy.warn_before_s, now, approvals=needed)


def held(
    reasons: tuple[Reason, ...],
    expires_s: float,
    warn_before_s: float,
    now: float,
    *,
    approvals: int,
    answer: Answer = Answer.HOLD,
) -> Decision:
    """A wait with its end, and a warning before it."""
    expires = now + expires_s
    warn = max(now, expires - warn_before_s)
    return Decision(answer=answer, reasons=reasons, approvals_needed=approvals, expires_at=expires, warn_at=warn)


def unreachable(kind: str, policy: Policy | None, *, timed_out: bool, why: str) -> Decision:
    """A client's own answer while the monitor does not answer: the one that the kind names for this.

    Without a policy (the monitor was never reached), or for a kind that it does not have, the answer is hold.
    """
    named = policy.kinds.get(kind) if policy is not None else None
    down = Reason("timeout" if timed_out else "monitor_down", f"The monitor did not answer: {why}.")
    if named is None:
        missing = "has no such kind" if policy is not None else "is not known: the monitor was never reached"
        return Decision(answer=Answer.HOLD, reasons=(down, Reason("no_policy", f"The policy {missing}.", kind)))
    return Decision(answer=named.on_timeout if timed_out else named.on_monitor_down, reasons=(down,))


def after_attempts(name: str, policy: Policy | None, failed: int) -> Decision:
    """What follows after `failed` failed attempts in one conversation: pass (try again), or what the policy names.

    Without a policy for the name a person takes over at once.
    """
    named = policy.attempts.get(name) if policy is not None else None
    if named is None:
        return Decision(
            answer=Answer.HAND_OVER,
            reasons=(Reason("no_policy", f"No policy says how often {name} may be tried.", name),),
        )
    if failed < named.most:
        return Decision(answer=Answer.PASS)
    tries = "attempt" if failed == 1 else "attempts"
    says = f"{failed} {tries} failed, and {named.most} may before a person takes over."
    return Decision(answer=named.then, reasons=(Reason("attempts", says, name),))


def _findings(wanted: tuple[HoldIf, ...], policy: KindPolicy, found: Evidence, now: float) -> Iterator[Reason]:
    if HoldIf.CHECK in wanted:
        for name, what in found.violated:
            yield Reason("check", f"The output {what}.", name)
    if HoldIf.DRIFT in wanted:
        yield from _drifts(found)
    if HoldIf.DUPLICATE in wanted:
        for other in found.similar:
            within = f"in the last {policy.duplicate_within_s:.0f} s"
            yield Reason("duplicate", f"{other.key} said nearly the same to the same target {within}.", other.key)
    if HoldIf.UNSURE in wanted:
        yield from _not_known(wanted, found, now)
    yield from _too_low(policy, found)


def _drifts(found: Evidence) -> Iterator[Reason]:
    for alert in found.stream.alerts if found.stream is not None else ():
        # An output that does not say which segment it belongs to may belong to this one.
        if any(found.attributes.get(name, value) != value for name, value in (alert.segment or {}).items()):
            continue
        yield Reason("drift", f"An alert of the stream is open: {alert.title}.", alert.id)


def _not_known(wanted: tuple[HoldIf, ...], found: Evidence, now: float) -> Iterator[Reason]:
    if HoldIf.CHECK in wanted:
        for name, why in found.undecided:
            yield Reason("unsure", f"The check {name} could not be decided: {why}.", name)
    if HoldIf.DRIFT not in wanted:
        return
    state = found.stream
    if state is None:
        yield Reason("unsure", "The proposal names no stream, so nothing is known of its state.")
        return
    if state.known_at is None:
        why = state.why_unknown or "its alerts were never read"
        yield Reason("unsure", f"The state of the stream is not known: {why}.")
    elif now - state.known_at > STATE_TOO_OLD_S:
        ago = f"it was last read {now - state.known_at:.0f} s ago"
        why = f"{state.why_unknown}; {ago}" if state.why_unknown else ago
        yield Reason("unsure", f"The state of the stream is not known: {why}.")
    for name in state.evaluator_down:
        yield Reason("unsure", f"The evaluator {name} is down, so nobody judges this stream's outputs.", name)


def _too_low(policy: KindPolicy, found: Evidence) -> Iterator[Reason]:
    if policy.least_quality is not None:
        asked = f"{policy.least_quality:.0%} are asked for"
        known = found.stream.quality if found.stream is not None else ()
        if not known:
            yield Reason("quality", f"The judged quality of the stream is not known, and {asked}.")
        for quality in known:
            if quality.low < policy.least_quality:
                shown = f"{quality.low:.1%} to {quality.high:.1%} of the outputs pass {quality.criterion}"
                yield Reason("quality", f"{shown} (by {quality.judged} judged), and {asked}.", quality.criterion)
    if policy.least_confidence is not None:
        sure = found.confidence
        if sure is None or not sure >= policy.least_confidence:  # NaN is no confidence
            shown = "No confidence is given" if sure is None else f"The confidence is {sure:.2f}"
            yield Reason("confidence", f"{shown}, and {policy.least_confidence:.2f} is asked for.")


def _needs_two(policy: KindPolicy, fields: Mapping[str, object]) -> Reason | None:
    """Why two people must approve, if they must: an amount that cannot be read counts as too high."""
    if policy.two_above is None:
        return None
    amount = amount_of(fields.get(policy.amount))
    if amount is None:
        says = f"The field {policy.amount} holds no number, so two people must approve."
    elif abs(amount) > policy.two_above:
        says = f"{policy.amount} is above {policy.two_above:g}, so two people must approve."
    else:
        return None
    return Reason("two_approvers", says, policy.amount)


def amount_of(value: object) -> float | None:
    """A number, or a text that is one ("1200.50"); None for all else, also for what is not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) else None
