"""The audit log's hash chain: each entry's hash covers the entry and the hash before it. Pure.

Whoever changes, removes or inserts an entry must compute all later hashes again, and then they differ from those that
the topic `oqm.actions` carried and from any that were written down elsewhere. The construction is that of Haber and
Stornetta, "How to time-stamp a digital document" (1991); the encoding is fixed below, so that others can verify it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.actions.states import AuditEntry

FIRST_HASH = "0" * 64
"""What stands before the first entry."""

_encoder = msgspec.json.Encoder(order="sorted")


def encode_body(body: dict[str, Any]) -> str:
    """A body as the log keeps it: JSON with sorted keys and no spaces."""
    return _encoder.encode(body).decode()


def entry_hash(seq: int, at: float, actor: str, what: str, subject: str, body: str, previous: str) -> str:
    """SHA-256, as hexadecimal digits, of the JSON array [previous, seq, at, actor, what, subject, body] in UTF-8.

    Times as Python's `repr` writes them, no spaces, nothing escaped but what JSON demands: what `json.dumps(...,
    ensure_ascii=False, separators=(",", ":"))` gives.
    """
    return hashlib.sha256(_encoder.encode([previous, seq, at, actor, what, subject, body])).hexdigest()


def next_entry(
    previous: tuple[int, str], at: float, actor: str, what: str, subject: str, body: dict[str, Any]
) -> AuditEntry:
    """The entry after the one with this number and hash; (0, `FIRST_HASH`) before the first."""
    seq, text, at = previous[0] + 1, encode_body(body), float(at)
    return AuditEntry(
        seq=seq,
        at=at,
        actor=actor,
        what=what,
        subject=subject,
        body=text,
        previous=previous[1],
        hash=entry_hash(seq, at, actor, what, subject, text, previous[1]),
    )


def first_broken(entries: Iterable[AuditEntry], after: tuple[int, str] = (0, FIRST_HASH)) -> int | None:
    """The number of the first entry that is missing, changed or not linked to the one before; None where all are right.

    Parameters
    ----------
    entries
        In the order of `seq`, the first one following `after` (number and hash).
    """
    seq, digest = after
    for entry in entries:
        seq += 1
        right = entry_hash(seq, entry.at, entry.actor, entry.what, entry.subject, entry.body, digest)
        if entry.seq != seq or entry.previous != digest or entry.hash != right:
            return seq
        digest = entry.hash
    return None
