"""Errors of the ledger and the stores as problems, for every route alike."""

from __future__ import annotations

from monitor.actions.review import NoSuchItem, NotYours, ReviewError, StaleLease
from monitor.actions.states import (
    ActionError,
    InvalidAction,
    Mismatch,
    NoSuchAction,
    NotAllowed,
    Refusal,
    StaleFence,
)
from monitor.errors import OqmError
from monitor.ledger.base import LedgerError
from monitor.serve.action_view import view
from monitor.serve.problem import Problem
from monitor.store.base import StoreError

RETRY_DATABASE_S = 1.0
"""After how long a client may ask again when a database did not answer: a restart of PostgreSQL takes seconds."""

_STATUS = {
    Refusal.OWN_ACTION: 403,
    Refusal.TWICE: 409,
    Refusal.OTHER_CONTENT: 409,
    Refusal.EXPIRED: 410,
    Refusal.FINAL: 409,
    Refusal.NO_UNDO: 409,
    Refusal.WRONG_STATE: 409,
}


def problem_of(error: OqmError) -> Problem | None:
    """The problem that a client gets for an error; None for one that is not the client's business."""
    match error:
        case Problem():
            return error
        case NoSuchAction():
            return Problem(404, "no-such-action", _sentence(error))
        case InvalidAction():
            return Problem(422, "invalid-action", _sentence(error))
        case Mismatch():
            return Problem(422, "mismatch", _sentence(error), differs=error.differs)
        case StaleFence():
            return Problem(409, "stale-fence", _sentence(error), action=view(error.current))
        case NotAllowed():
            return Problem(_STATUS[error.reason], error.reason.value.replace("_", "-"), _sentence(error))
        case ActionError():
            return Problem(409, "refused", _sentence(error))
        case NoSuchItem():
            return Problem(404, "no-such-item", _sentence(error))
        case StaleLease():
            return Problem(409, "stale-lease", _sentence(error))
        case NotYours():
            return Problem(409, "not-yours", _sentence(error))
        case ReviewError():
            return Problem(422, "invalid-review", _sentence(error))
        case LedgerError():
            detail = "The ledger's database does not answer. It is not known whether a change was made: ask again."
            return Problem(503, "ledger-unavailable", detail, retry_after_s=RETRY_DATABASE_S)
        case StoreError():
            detail = "The trace store does not answer, or no worker has written to it yet."
            return Problem(503, "store-unavailable", detail, retry_after_s=RETRY_DATABASE_S)
    return None


def _sentence(error: OqmError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
