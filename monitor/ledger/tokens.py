"""Tokens: who may do what. The secret has 256 random bits, so its plain SHA-256 cannot be searched backwards."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, or_, select, update

from monitor.actions.names import checked_name
from monitor.actions.states import ActionError, InvalidAction, Token
from monitor.ledger.base import Transaction
from monitor.ledger.entries import insert_into
from monitor.ledger.rows import checked_scope
from monitor.ledger.tables import token

PREFIX = "oqm_"
"""With it, scanners of repositories recognise a leaked secret."""

SECRET_BYTES = 32  # 256 bits: nobody guesses it, however fast
MAX_NAME_CHARS = 128  # a person's or application's name, in tables that people read


def create(tx: Transaction, made: Token, by: str) -> str | ActionError:
    """`Ledger.token_create`."""
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    row = {
        "name": checked_name(made.name, "name", MAX_NAME_CHARS),
        "hash": hashed(secret),
        "scopes": msgspec.json.encode(sorted(set(made.scopes))).decode(),
        "app": checked_scope(made.app),
        "person": checked_name(made.person, "person", MAX_NAME_CHARS) if made.person else "",
        "created_at": made.created_at,
        "expires_at": made.expires_at,
        "revoked_at": None,
    }
    statement = insert_into(tx.connection, token).values(row).on_conflict_do_nothing(index_elements=["name"])
    if tx.connection.execute(statement.returning(token.c.name)).one_or_none() is None:
        return InvalidAction(f"a token named {made.name!r} exists, or existed: choose another name")
    body = {name: row[name] for name in ("scopes", "app", "person", "expires_at")}
    tx.record(made.created_at, by, "token_created", f"token:{row['name']}", body)
    return secret


def find(connection: Connection, secret: str, now: float) -> Token | None:
    """`Ledger.token_find`."""
    columns = token.c
    row = connection.execute(
        select(token).where(
            columns.hash == hashed(secret),
            columns.revoked_at.is_(None),
            or_(columns.expires_at.is_(None), columns.expires_at > now),
        )
    ).one_or_none()
    return None if row is None else _token(row)


def revoke(tx: Transaction, name: str, now: float, by: str) -> bool:
    """`Ledger.token_revoke`."""
    live = (token.c.name == name, token.c.revoked_at.is_(None))
    row = tx.connection.execute(update(token).where(*live).values(revoked_at=now).returning(token.c.name)).one_or_none()
    if row is None:
        return tx.connection.execute(select(token.c.name).where(token.c.name == name)).one_or_none() is not None
    tx.record(now, by, "token_revoked", f"token:{name}", {})
    return True


def listed(connection: Connection) -> Sequence[Token]:
    """`Ledger.token_list`."""
    return [_token(row) for row in connection.execute(select(token).order_by(token.c.name))]


def hashed(secret: str) -> str:
    """As the table has it."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _token(row: Row[Any]) -> Token:
    return Token(
        name=row.name,
        scopes=tuple(msgspec.json.decode(row.scopes)),
        app=row.app,
        person=row.person,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
