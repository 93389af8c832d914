"""What a decorated function raises in place of its result when it was not run, and what it raises to say so itself.

NotRun
  Held           a person decides, or the same key is asked again later
  FellBack       the policy says to do without, or the action expired
  HandedOver     a person takes the conversation over
  Rejected       a person rejected it, for good
  Undone         it was done, and undone since
  InFlight       another process is doing it now
  OutcomeUnknown it may have happened; a person or the reconcile query says whether
GateRefused      the request itself is wrong: the message says what to change
NothingHappened  for functions to raise: the effect did not take place, and another attempt may be made
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.actions.policy import Reason
from monitor.errors import OqmError


class NotRun(OqmError):
    """The function was not run.

    Attributes
    ----------
    key
        The action's key: the same call again asks again under it.
    reasons
        Why, for programs and for people.
    expires_at
        Of a held action, seconds since 1970: until when a person may decide.
    """

    says = "was not run"

    def __init__(self, key: str, reasons: Sequence[Reason] = (), expires_at: float | None = None) -> None:
        why = " ".join(reason.says for reason in reasons)
        super().__init__(f"{key}: {self.says}{'. ' + why if why else ''}")
        self.key = key
        self.reasons = tuple(reasons)
        self.expires_at = expires_at


class Held(NotRun):
    """A person decides; call again later with the same arguments."""

    says = "is held"


class FellBack(NotRun):
    """The application goes on without this action."""

    says = "is not to be done"


class HandedOver(NotRun):
    """A person takes over."""

    says = "is handed over to a person"


class Rejected(NotRun):
    """A person rejected it, for good."""

    says = "was rejected"


class Undone(NotRun):
    """It was done, and undone since."""

    says = "was done and undone"


class InFlight(NotRun):
    """Another process has claimed it and is at it; `expires_at` is the end of its lease."""

    says = "is being done elsewhere"


class OutcomeUnknown(NotRun):
    """A process claimed it and was lost: it may have happened. It is not run again until that is resolved."""

    says = "may have happened already"


class GateRefused(OqmError):
    """The monitor refuses the request as it is; the message says what to change. `code` is for programs."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NothingHappened(OqmError):
    """Raised by an application's function: the effect did not take place, so that another attempt may be made."""
