"""The section `gate`: what is decided about actions that applications ask about before they act, by kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from monitor.actions.policy import (
    Answer,
    AttemptPolicy,
    Decide,
    HoldIf,
    KindPolicy,
    Policy,
    Requires,
    versioned,
)
from monitor.actions.states import OnUnknown
from monitor.config_values.checked_text import matching
from monitor.config_values.durations import Duration
from monitor.config_values.plain_errors import MisplacedError
from monitor.settings.part import Part

MOST_KINDS = 100  # a list that a person keeps in mind; each client holds it
MOST_ATTEMPTS = 100  # after more than these nobody can call what follows a hand-over

KindName = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,63}", "a name of 1 to 64 small letters, digits and _, beginning with a letter")
]


def _each_once(given: tuple[str, ...]) -> tuple[str, ...]:
    for place, name in enumerate(given):
        if name in given[:place]:
            raise MisplacedError("stands there twice", place)
    return given


class GateKind(Part):
    """One kind of action."""

    decide: Decide = Field(
        description="pass: always; checked: held by what `hold_if` names; approval: a person approves every time"
    )
    hold_if: Annotated[tuple[HoldIf, ...], AfterValidator(_each_once)] = Field(
        tuple(HoldIf),
        description="what holds a checked action: check (the text violates a check of its stream), drift (an alert of "
        "the stream is open), duplicate (another key said the same to the same target), unsure (that is not known)",
    )
    on_timeout: Literal["pass", "hold", "fall_back"] = Field(
        "hold", description="the client's answer where the monitor takes longer than the client waits"
    )
    on_monitor_down: Literal["pass", "hold", "fall_back"] = Field(
        "hold", description="the client's answer where the monitor cannot be reached"
    )
    on_expired: Literal["fall_back", "hand_over"] = Field(
        "fall_back", description="the answer about an action that was held until it expired"
    )
    on_unknown: OnUnknown = Field(
        OnUnknown.ASK,
        description="of an action whose worker was lost: ask (a person or the application's query says how it ended), "
        "retry (it may run again: the receiving system takes the key, or twice does no harm)",
    )
    downstream_key: bool = Field(False, description="whether the receiving system takes the key and acts once for it")
    requires: Annotated[tuple[Requires, ...], AfterValidator(_each_once)] = Field(
        (), description="what a proposal must bring: key, undo (how it is undone), target"
    )
    approvers: int = Field(1, ge=1, le=2, description="people who must approve, of a kind that needs approval")
    two_above: float | None = Field(
        None, gt=0, description="amount above which two people must approve; null: no such amount"
    )
    amount: str = Field("amount", min_length=1, max_length=64, description="the declared field that holds the amount")
    expires: Duration = Field(
        14_400.0, gt=0, le=90 * 86_400, validate_default=True, description="how long an action is held"
    )
    warn_before: Duration = Field(
        1_800.0, gt=0, validate_default=True, description="how long before it expires a warning is sent"
    )
    duplicate_within: Duration = Field(
        600.0, gt=0, le=86_400, validate_default=True, description="how long ago a duplicate may be"
    )
    least_confidence: float | None = Field(
        None, gt=0, le=1, description="held where the application's own confidence is lower or missing; null: not asked"
    )
    least_quality: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="held where the share of the stream's outputs that pass a judged criterion may be lower, by the "
        "lower end of its interval; null: not asked",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> GateKind:
        given = self.model_fields_set
        if self.decide is not Decide.CHECKED and "hold_if" in given:
            raise MisplacedError("has an effect only with `decide: checked`", "hold_if")
        if self.decide is not Decide.APPROVAL:
            for name in ("approvers", "two_above", "amount"):
                if name in given:
                    raise MisplacedError("has an effect only with `decide: approval`", name)
        elif self.on_timeout == "pass" or self.on_monitor_down == "pass":
            name = "on_timeout" if self.on_timeout == "pass" else "on_monitor_down"
            raise MisplacedError("must be hold or fall_back: a kind that needs approval never passes without", name)
        self._effects_are_once()
        if self.decide is not Decide.PASS and self.warn_before >= self.expires:
            # A default gives way to a short `expires`; what was written does not.
            if "warn_before" in given:
                raise MisplacedError("must be shorter than `expires`", "warn_before")
            object.__setattr__(self, "warn_before", self.expires / 4)
        return self

    def _effects_are_once(self) -> None:
        if self.on_unknown is not OnUnknown.RETRY:
            return
        if self.decide is Decide.APPROVAL and not self.downstream_key:
            what = (
                "must be ask for a kind that needs approval, unless `downstream_key: true` says that the receiving "
                "system takes the key: a retry could do it twice"
            )
            raise MisplacedError(what, "on_unknown")
        if self.downstream_key and Requires.KEY not in self.requires:
            raise MisplacedError("needs `requires: [key]`: a made-up key is another one each time", "downstream_key")

    def policy(self) -> KindPolicy:
        """As the server decides by it, and hands it to clients."""
        return KindPolicy(
            decide=self.decide,
            hold_if=self.hold_if if self.decide is Decide.CHECKED else (),
            on_timeout=Answer(self.on_timeout),
            on_monitor_down=Answer(self.on_monitor_down),
            on_expired=Answer(self.on_expired),
            on_unknown=self.on_unknown,
            downstream_key=self.downstream_key,
            requires=self.requires,
            approvers=self.approvers,
            two_above=self.two_above,
            amount=self.amount,
            expires_s=self.expires,
            warn_before_s=self.warn_before,
            duplicate_within_s=self.duplicate_within,
            least_confidence=self.least_confidence,
            least_quality=self.least_quality,
        )


class Attempts(Part):
    """How often something may fail in one conversation."""

    most: int = Field(ge=1, le=MOST_ATTEMPTS, description="failed attempts after which `then` follows")
    then: Literal["hand_over", "hold", "fall_back"] = Field(
        "hand_over", description="hand_over: a person takes over, with the conversation"
    )
    expires: Duration = Field(900.0, gt=0, validate_default=True, description="how long it waits for a person")
    warn_before: Duration = Field(
        300.0, gt=0, validate_default=True, description="how long before that a warning is sent"
    )

    @model_validator(mode="after")
    def _warns_in_time(self) -> Attempts:
        if self.warn_before >= self.expires:
            if "warn_before" in self.model_fields_set:
                raise MisplacedError("must be shorter than `expires`", "warn_before")
            object.__setattr__(self, "warn_before", self.expires / 4)
        return self

    def policy(self) -> AttemptPolicy:
        """As the server decides by it, and hands it to clients."""
        return AttemptPolicy(
            most=self.most, then=Answer(self.then), expires_s=self.expires, warn_before_s=self.warn_before
        )


class Gate(Part):
    """What is decided about actions that applications ask about before they act (docs/howto/gate.md)."""

    kinds: dict[KindName, GateKind] = Field(
        default_factory=dict, max_length=MOST_KINDS, description="kinds of actions by name; others are refused"
    )
    attempts: dict[KindName, Attempts] = Field(
        default_factory=dict, max_length=MOST_KINDS, description="how often something may fail, by name"
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Gate:
        if both := sorted(self.kinds.keys() & self.attempts.keys()):
            raise MisplacedError("is the name of a kind, too: give it another one", "attempts", both[0])
        return self

    @property
    def policy(self) -> Policy:
        """All kinds and attempts with their version."""
        return versioned(
            {name: kind.policy() for name, kind in self.kinds.items()},
            {name: one.policy() for name, one in self.attempts.items()},
        )
