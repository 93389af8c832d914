"""Who asks: bearer tokens (RFC 6750) and their scopes."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.actions.states import Token
from monitor.ledger.base import Ledger
from monitor.serve.problem import Problem
from monitor.serve.scopes import Scope

MAX_SECRET = 200  # characters; a secret has some 50, and a longer one is not worth hashing


def secret_of(values: Sequence[str]) -> str:
    """The secret of the `Authorization` headers of a request. Raises `Problem` 401, or 400 where there are several."""
    if len(values) > 1:
        raise Problem(400, "several-credentials", "The request has more than one Authorization header; send one.")
    if not values:
        raise _unauthorized("Send `Authorization: Bearer SECRET`; `oqm token create` makes one.")
    scheme, _, secret = values[0].partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _unauthorized("The Authorization header must be `Bearer SECRET`.")
    if len(secret) > MAX_SECRET or not secret.isascii() or not secret.isprintable():
        raise _unauthorized("The token is not known, has expired, or was revoked.", "invalid_token")
    return secret


def identified(ledger: Ledger, secret: str, now: float) -> Token:
    """The token with this secret, where it is valid at `now`. Raises `Problem` 401: which of them fails is not said."""
    token = ledger.token_find(secret, now)
    if token is None:
        raise _unauthorized("The token is not known, has expired, or was revoked.", "invalid_token")
    return token


def allow(token: Token, scopes: Sequence[Scope]) -> None:
    """Raises `Problem` 403 where the token has none of these scopes."""
    if not any(scope.value in token.scopes for scope in scopes):
        wanted = " or ".join(scopes)
        challenge = f'Bearer error="insufficient_scope", scope="{" ".join(scopes)}"'
        raise Problem(
            403,
            "insufficient-scope",
            f"The token {token.name} lacks the scope {wanted}.",
            headers={"WWW-Authenticate": challenge},
        )


def _unauthorized(detail: str, error: str = "") -> Problem:
    challenge = f'Bearer error="{error}"' if error else "Bearer"
    return Problem(401, "unauthorized", detail, headers={"WWW-Authenticate": challenge})
