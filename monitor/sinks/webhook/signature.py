"""Signature of a webhook's body: HMAC-SHA256 (RFC 2104) over the time of sending and the exact bytes of the body.

A receiver may copy this module: it needs the standard library alone.
"""

from __future__ import annotations

import hashlib
import hmac

SIGNATURE_HEADER = "X-OQM-Signature"
TIMESTAMP_HEADER = "X-OQM-Timestamp"
_SCHEME = "v1="
TOLERANCE_S = 300.0
"""Age of a post that a receiver accepts: longer than a slow delivery, short enough to make replays useless."""


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """`v1=` and the hexadecimal HMAC-SHA256, under `secret` as UTF-8, of `timestamp`, a full stop and `body`.

    >>> sign("key", 1700000000, b"{}")
    'v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae'
    """
    signed = f"{timestamp}.".encode() + body
    return _SCHEME + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify(
    secret: str, signature: str, timestamp: str, body: bytes, *, now: float, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Whether `body` is what a holder of `secret` sent at `timestamp`, at most `tolerance_s` before or after `now`.

    `signature` and `timestamp` are the header values as received; anything unreadable is not verified. `signature` may
    list several with commas between, as while a secret is being changed.
    """
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 20:
        return False
    if abs(now - int(timestamp)) > tolerance_s:
        return False
    expected = sign(secret, int(timestamp), body).encode()
    given = [part.strip().encode("utf-8", "replace") for part in signature.split(",")]
    # Constant time, and no early exit: how much of a forgery was right must not show.
    return sum(hmac.compare_digest(expected, one) for one in given) > 0
