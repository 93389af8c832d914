"""What a token may do: each route asks for one of these scopes, and a token has those it was made with, and no other.

May import nothing from this project.
"""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A right of a token."""

    GATE = "gate"
    ACT = "act"
    APPROVE = "approve"
    REVIEW = "review"
    READ = "read"
    FEEDBACK = "feedback"
    ADMIN = "admin"


MEANINGS = {
    Scope.GATE: "ask whether an output may be used",
    Scope.ACT: "claim actions and report their outcome",
    Scope.APPROVE: "approve and reject what is held, and resolve what is unknown",
    Scope.REVIEW: "take outputs from the review queue and decide on them",
    Scope.READ: "read actions, quality, traces and cascades",
    Scope.FEEDBACK: "report what users say of an output",
    Scope.ADMIN: "read the audit log of everyone",
}
"""What each scope allows. No scope contains another one: an administrator's token that should also approve has both."""
